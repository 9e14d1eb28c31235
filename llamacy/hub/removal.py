"""Removes a model from the cache, and nothing else."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from llamacy.arguments import checks_options, short
from llamacy.errors import ArgumentError, HubNotFoundError, ModelFileError
from llamacy.hub.cache import (
    CachedModel,
    cache_folder,
    cached_models,
    repo_folder,
    stands_for,
)
from llamacy.hub.choice import listed, matching, models_among
from llamacy.hub.names import NAME_FORMS, HubName, parse_name

if TYPE_CHECKING:
    from huggingface_hub import CachedRepoInfo, HFCacheInfo


def pick_cached(name: str) -> CachedModel:
    """Return the only model in the cache that `name` stands for.

    Raises
    ------
    ArgumentError
        `name` is not a name, or is ambiguous.
    HubNotFoundError
        The cache has no such model; the message lists those that it has.
    """
    parsed = parse_name(name) if isinstance(name, str) else None
    if parsed is None:
        raise ArgumentError(
            f"name: wanted {NAME_FORMS}, found {short(name)}{_near(name)}"
        )
    models = cached_models()
    found = _matching_cached(models, parsed)
    if not found:
        names = listed([model.name for model in models])
        raise HubNotFoundError(f"no {parsed} in the cache; it has {names}")
    if len(found) > 1:
        names = listed([model.name for model in found])
        raise ArgumentError(f"{parsed}: wanted one of {names}")
    return found[0]


def _near(name: object) -> str:
    """Return the end of an error: the models in the cache that may be meant."""
    from llamacy.hub.near_misses import either, nearest

    cached = [model.name for model in cached_models()]
    names = nearest(name, cached) if isinstance(name, str) else []
    return f"; did you mean {either(names)}?" if names else ""


def _matching_cached(models: list[CachedModel], name: HubName) -> list[CachedModel]:
    """Return the models for which `name` may stand."""
    revision = name.revision or "main"
    of_files = {
        model.files: model
        for model in models
        if model.repo == name.repo
        and any(stands_for(revision, one) for one in model.revisions)
    }
    if name.variant is None and name.file is None:
        # no preference among types, as in loading: a removal must be unambiguous
        return list(of_files.values())
    files = [file for files in of_files for file in files]
    return [of_files[model.files] for model in matching(models_among(files), name)]


@checks_options()
def remove_cached(name: str) -> int:
    """Remove a model from the hub's cache: its files, in all revisions that have them.

    Files that it shares with other models stay.

    Parameters
    ----------
    name : str
        A name from `llamacy.cached_models`; or ``"user/repo"``, if the cache has just
        one model of that repository.

    Returns
    -------
    int
        Bytes freed.

    Raises
    ------
    ArgumentError
        The name is invalid, or may mean several models of the cache.
    HubNotFoundError
        The cache has no such model; the message says which it has.
    ModelFileError
        A file cannot be removed, or the cache is damaged.

    Examples
    --------
    >>> path = llamacy.pull("bartowski/SmolLM2-135M-Instruct-GGUF:Q4_K_M")
    >>> llamacy.remove_cached("bartowski/SmolLM2-135M-Instruct-GGUF") > 0
    True
    >>> llamacy.cached_models()
    []
    """
    return remove(pick_cached(name))


def remove(model: CachedModel) -> int:
    """Remove a model that `pick_cached` returned; return the number of bytes freed."""
    scanned, repo = _scan(model)
    files = [
        file
        for revision in repo.revisions
        if revision.commit_hash in model.revisions
        for file in revision.files
        if file.file_path.relative_to(revision.snapshot_path).as_posix() in model.files
    ]
    blobs = {file.file_path.resolve(): file.size_on_disk for file in files}
    try:
        scanned.delete_files(*files).execute()
    except OSError as error:
        path = error.filename or str(model.path)
        raise ModelFileError(error.errno or errno.EIO, error.strerror, path) from error
    # remove commits without files, and with the last one the repository
    scanned, repo = _scan(model)
    empty = [one.commit_hash for one in repo.revisions if not one.files]
    scanned.delete_revisions(*set(empty).intersection(model.revisions)).execute()
    return sum(size for blob, size in blobs.items() if not blob.exists())


def _scan(model: CachedModel) -> tuple[HFCacheInfo, CachedRepoInfo]:
    """Scan the cache with the library; a repository that it cannot read is an error."""
    from huggingface_hub import scan_cache_dir

    scanned = scan_cache_dir(cache_folder())
    for repo in scanned.repos:
        if (repo.repo_type, repo.repo_id) == ("model", model.repo):
            return scanned, repo
    folder = str(repo_folder(model.repo))
    warnings = [str(each) for each in scanned.warnings if folder in str(each)]
    reason = f"damaged, remove it by hand: {' '.join(warnings)}"
    raise ModelFileError(errno.EINVAL, reason, folder)
