"""Models on the Hugging Face hub by a pattern of their file names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from llamacy.arguments import short
from llamacy.errors import ArgumentError, HubNotFoundError, LlamacyError
from llamacy.hub import cached_models, find_or_pull
from llamacy.hub.choice import RepoModel, listed, matching, models_among, only
from llamacy.hub.failures import explained
from llamacy.hub.names import HubName, is_safe, parse_name


class Places(NamedTuple):
    """Where to download to; None is the hub's own cache.

    Attributes
    ----------
    local_dir : path, optional
        A folder that gets the files under their names in the repository.
    cache_dir : path, optional
        Another cache.
    """

    local_dir: str | os.PathLike[str] | None = None
    cache_dir: str | os.PathLike[str] | None = None


def fetched(
    repo_id: str, pattern: str | None, further: Sequence[str], places: Places
) -> Path:
    """Return the path of a model, which is downloaded unless it is there.

    The hub is not asked if its own cache has one model that fits.

    Parameters
    ----------
    repo_id : str
        ``"user/repo"``.
    pattern : str or None
        A file, or a pattern such as ``"*Q4_K_M.gguf"`` that fits those of one model;
        None chooses like `llamacy.load`.
    further : sequence of str
        Other files, or patterns that fit one file each, to download, too.
    places : Places
        Where to.

    Returns
    -------
    Path
        The model's file; of a split model, the first.
    """
    repo = parse_name(repo_id) if isinstance(repo_id, str) else None
    if repo is None or repo.variant or repo.file:
        raise ArgumentError(f"repo_id: wanted user/repo, found {short(repo_id)}")
    if isinstance(further, str):
        raise ArgumentError(f"additional_files: wanted a list, found {short(further)}")
    is_default = not any(places)
    if is_default and not further and (known := _cached(repo, pattern)):
        return known
    try:
        files = _files(repo)
        model = _chosen(files, pattern, repo)
        for each in further:
            _download(_only_file(files, each, repo), repo, places)
        if is_default:
            chosen = HubName(repo.repo, repo.revision, file=model.files[0])
            return find_or_pull(chosen)
        return [_download(file, repo, places) for file in model.files][0]
    except LlamacyError:
        raise
    except Exception as error:
        raise explained(error, repo) from error


def _cached(repo: HubName, pattern: str | None) -> Path | None:
    """Find the only model in the cache that fits."""
    found = [
        model.path
        for model in cached_models()
        if model.repo == repo.repo
        and (repo.revision or "main") in model.revisions
        and (pattern is None or _fitting(model.files, pattern))
    ]
    return found[0] if len(found) == 1 else None


def _files(repo: HubName) -> list[str]:
    """Ask the hub for the files of a repository."""
    from huggingface_hub import HfApi

    found = HfApi(library_name="llamacy").model_info(repo.repo, revision=repo.revision)
    names = sorted(one.rfilename for one in found.siblings or ())
    return [name for name in names if is_safe(name)]


def _chosen(files: Sequence[str], pattern: str | None, repo: HubName) -> RepoModel:
    models = models_among(files)
    if pattern is None:
        found = matching(models, repo)
    else:
        found = [model for model in models if _fitting(model.files, pattern)]
    if not found:
        raise _missing(files, f"GGUF file {pattern or ''}".strip(), repo)
    return only(found, repo)


def _only_file(files: Sequence[str], pattern: str, repo: HubName) -> str:
    found = _fitting(files, pattern)
    if not found:
        raise _missing(files, pattern, repo)
    if len(found) > 1:
        raise ArgumentError(
            f"additional_files: wanted one file for {short(pattern)}, "
            f"found {listed(found)}"
        )
    return found[0]


def _missing(files: Sequence[str], wanted: str, repo: HubName) -> HubNotFoundError:
    return HubNotFoundError(
        f"no {wanted} in {repo} on the hub; the repository has {listed(files)}"
    )


def _fitting(files: Iterable[str], pattern: str) -> list[str]:
    return [file for file in files if fnmatchcase(file, pattern)]


def _download(file: str, repo: HubName, places: Places) -> Path:
    from huggingface_hub import hf_hub_download

    path = hf_hub_download(
        repo.repo,
        file,
        revision=repo.revision,
        library_name="llamacy",
        **places._asdict(),
    )
    return Path(path)
