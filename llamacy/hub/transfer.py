"""Getting a model's files from the hub into the cache."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from llamacy.errors import (
    FormatError,
    HubConnectionError,
    HubError,
    HubNotFoundError,
    LlamacyError,
    ModelFileError,
    UnsupportedError,
)
from llamacy.hub.cache import COMMIT, cache_folder, repo_folder, stands_for
from llamacy.hub.choice import RepoModel, listed, matching, models_among, names_of, only
from llamacy.hub.failures import endpoint, explained
from llamacy.hub.folders import check_runs, folder_model, guides, is_folder, wanted_type
from llamacy.hub.meter import Meter
from llamacy.hub.names import HubName, is_safe

_logger = logging.getLogger("llamacy")


def fetch(name: HubName, progress: Callable[[float], None] | None) -> Path:
    """Get the newest version of what `name` means, as far as it is not there.

    What it returns and raises is what :func:`llamacy.hub.pull` does.
    """
    meter = Meter(progress)
    try:
        return _fetch(name, meter)
    except LlamacyError:
        raise
    except Exception as error:
        if error is meter.raised:  # by who watches, and not by the hub
            raise
        raise explained(error, name) from error


def _fetch(name: HubName, meter: Meter) -> Path:
    commit, sizes = _listing(name)
    snapshot = repo_folder(name.repo) / "snapshots" / commit
    model = _pick(name, commit, sizes, snapshot)
    files = model.files
    missing = [file for file in files if _size(snapshot / file) != sizes[file]]
    again = {file: _remains(snapshot / file) for file in missing}
    n_bytes = sum(
        sizes[file]
        for file in missing
        if again[file] or _must_come(name.repo, file, commit)
    )
    if n_bytes:
        _check_space(n_bytes)
        _logger.info("%s: fetching %d bytes from %s", name, n_bytes, endpoint())
    meter.begin(n_bytes)
    for file in missing:
        path = _get(name.repo, file, commit, meter, again=again[file])
        _check_size(path, sizes[file], f"{name.repo}/{file}")
    if not stands_for(name.revision or "main", commit):
        # Only now does the revision's name lead to this commit, with all of the model.
        newest = _get(name.repo, files[0], name.revision or "main", meter)
        if newest != snapshot / files[0]:
            raise HubConnectionError(f"{name.repo} has just been changed; try again")
    meter.end()
    return model.path_in(snapshot)


def _listing(name: HubName) -> tuple[str, dict[str, int]]:
    """Ask the hub for the commit of a revision, and its files with their sizes."""
    from huggingface_hub import HfApi, constants

    found = HfApi(library_name="llamacy").model_info(
        name.repo,
        revision=name.revision,
        files_metadata=True,
        timeout=constants.HF_HUB_ETAG_TIMEOUT,
    )
    commit, siblings = found.sha, found.siblings
    if not (isinstance(commit, str) and COMMIT.fullmatch(commit)) or siblings is None:
        raise HubError(f"{name}: {endpoint()} does not answer as a hub does")
    return commit, {
        one.rfilename: one.size
        for one in siblings
        if isinstance(one.rfilename, str)
        and is_safe(one.rfilename)
        and isinstance(one.size, int)
        and one.size >= 0
    }


def _pick(
    name: HubName, commit: str, sizes: Mapping[str, int], snapshot: Path
) -> RepoModel:
    """Choose the model among a repository's files."""
    models = models_among(sizes)
    if not models and is_folder(sizes):
        wanted_type(name)  # what cannot be is not to be found out hours later
        for file in guides(sizes):
            _bring(name.repo, file, commit, sizes[file], snapshot)
        check_runs(snapshot)
        return folder_model(sizes, snapshot, name.repo)
    if not models:
        wanted = "a GGUF file, or config.json and safetensors"
        raise UnsupportedError(name.repo, "files", wanted, listed(sorted(sizes)))
    found = matching(models, name)
    if not found:
        there = listed(names_of(models, name))
        raise HubNotFoundError(f"no {name} on the hub; the repository has {there}")
    return only(found, name)


def _bring(repo: str, file: str, commit: str, size: int, snapshot: Path) -> None:
    """Get one small file, unless it is there."""
    if _size(snapshot / file) != size:
        again = _remains(snapshot / file)
        path = _get(repo, file, commit, Meter(None), again=again)
        _check_size(path, size, f"{repo}/{file}")


def _must_come(repo: str, file: str, revision: str) -> bool:
    """Whether a file is to be transferred: another revision may have the same one."""
    from huggingface_hub import hf_hub_download

    plan = hf_hub_download(
        repo, file, revision=revision, cache_dir=cache_folder(), dry_run=True
    )
    return plan.will_download


def _get(
    repo: str, file: str, revision: str, meter: Meter, *, again: bool = False
) -> Path:
    """Get one file, unless it is there; or get it `again`."""
    from huggingface_hub import hf_hub_download

    path = hf_hub_download(
        repo,
        file,
        revision=revision,
        cache_dir=cache_folder(),
        library_name="llamacy",
        force_download=again,
        tqdm_class=meter.bar_class(),
    )
    return Path(path)


def _remains(path: Path) -> bool:
    """Whether a damaged file is in the way.

    A link's target can be replaced; where the cache has no links, the file is removed.
    """
    if path.is_symlink():
        return path.exists()
    path.unlink(missing_ok=True)
    return False


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _check_size(path: Path, wanted: int, name: str) -> None:
    """Take care that a file which is not what the hub announced is not kept."""
    found = _size(path)
    if found != wanted:
        path.resolve().unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise FormatError(
            name, "size", f"{wanted} bytes, as the hub says", f"{found} bytes"
        )


def _check_space(n_bytes: int) -> None:
    """Fail now if it is certain that the disk will be full."""
    folder = cache_folder()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        reason = f"{os.strerror(errno.ENOSPC)}: {n_bytes} bytes wanted, {free} free"
        raise ModelFileError(errno.ENOSPC, reason, str(cache_folder()))
