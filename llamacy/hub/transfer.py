"""Downloads a model's files from the hub into the cache."""

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
from llamacy.system.memory import memory_state

_logger = logging.getLogger("llamacy")


def fetch(name: HubName, progress: Callable[[float], None] | None) -> Path:
    """Download the missing files of the newest version of a model.

    Returns and raises the same as `llamacy.pull`.
    """
    meter = Meter(progress)
    try:
        return _fetch(name, meter)
    except LlamacyError:
        raise
    except Exception as error:
        if error is meter.raised:  # by the caller's `progress`, not by the hub
            raise
        raise explained(error, name) from error


def _fetch(name: HubName, meter: Meter) -> Path:
    commit, sizes = _listing(name)
    snapshot = repo_folder(name.repo) / "snapshots" / commit
    model = _pick(name, commit, sizes, snapshot)
    files = model.files
    missing = [file for file in files if _size(snapshot / file) != sizes[file]]
    is_damaged = {file: _clear_damaged(snapshot / file) for file in missing}
    n_bytes = sum(
        sizes[file]
        for file in missing
        if is_damaged[file] or _needs_transfer(name.repo, file, commit)
    )
    if n_bytes:
        _check_space(n_bytes)
        if not (model.is_folder and name.variant):  # whose weights are quantised
            _compare_with_memory(name, sum(sizes[file] for file in files))
        _logger.info("%s: fetching %d bytes from %s", name, n_bytes, endpoint())
    meter.begin(n_bytes)
    for file in missing:
        path = _download(name.repo, file, commit, meter, force=is_damaged[file])
        _check_size(path, sizes[file], f"{name.repo}/{file}")
    if not stands_for(name.revision or "main", commit):
        # Point the branch or tag at this commit, now that the model is complete.
        newest = _download(name.repo, files[0], name.revision or "main", meter)
        if newest != snapshot / files[0]:
            raise HubConnectionError(f"{name.repo} has just been changed; try again")
    meter.end()
    return model.path_in(snapshot)


def _listing(name: HubName) -> tuple[str, dict[str, int]]:
    """Ask the hub for the commit of a revision, and the sizes of its files."""
    from huggingface_hub import HfApi, constants

    found = HfApi(library_name="llamacy").model_info(
        name.repo,
        revision=name.revision,
        files_metadata=True,
        timeout=constants.HF_HUB_ETAG_TIMEOUT,
    )
    commit, siblings = found.sha, found.siblings
    if not (isinstance(commit, str) and COMMIT.fullmatch(commit)) or siblings is None:
        raise HubError(f"{name}: {endpoint()} does not answer like a hub")
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
        wanted_type(name)  # fail on a bad type now, not after hours of downloading
        for file in guides(sizes):
            _download_small(name.repo, file, commit, sizes[file], snapshot)
        check_runs(snapshot)
        return folder_model(sizes, snapshot, name.repo)
    if not models:
        wanted = "a GGUF file, or config.json and safetensors"
        raise UnsupportedError(name.repo, "files", wanted, listed(sorted(sizes)))
    found = matching(models, name)
    if not found:
        names = listed(names_of(models, name))
        raise HubNotFoundError(f"no {name} on the hub; the repository has {names}")
    return only(found, name)


def _download_small(
    repo: str, file: str, commit: str, size: int, snapshot: Path
) -> None:
    """Download a file without reporting progress, unless it is in the cache."""
    if _size(snapshot / file) != size:
        is_damaged = _clear_damaged(snapshot / file)
        path = _download(repo, file, commit, Meter(None), force=is_damaged)
        _check_size(path, size, f"{repo}/{file}")


def _needs_transfer(repo: str, file: str, revision: str) -> bool:
    """Whether no other revision in the cache has the same file."""
    from huggingface_hub import hf_hub_download

    plan = hf_hub_download(
        repo, file, revision=revision, cache_dir=cache_folder(), dry_run=True
    )
    return plan.will_download


def _download(
    repo: str, file: str, revision: str, meter: Meter, *, force: bool = False
) -> Path:
    """Download a file unless it is in the cache, or in any case if `force`."""
    from huggingface_hub import hf_hub_download

    path = hf_hub_download(
        repo,
        file,
        revision=revision,
        cache_dir=cache_folder(),
        library_name="llamacy",
        force_download=force,
        tqdm_class=meter.bar_class(),
    )
    return Path(path)


def _clear_damaged(path: Path) -> bool:
    """Remove a damaged file, or return True if the download must be forced.

    A forced download replaces a link's target. In a cache without links, the file is
    removed here.
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
    """Remove a file that does not have the size that the hub announced, and raise."""
    found = _size(path)
    if found != wanted:
        path.resolve().unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise FormatError(
            name, "size", f"{wanted} bytes, as the hub says", f"{found} bytes"
        )


def _check_space(n_bytes: int) -> None:
    """Raise if the disk is certain to become full."""
    folder = cache_folder()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        reason = f"{os.strerror(errno.ENOSPC)}: {n_bytes} bytes wanted, {free} free"
        raise ModelFileError(errno.ENOSPC, reason, str(cache_folder()))


def _compare_with_memory(name: HubName, n_bytes: int) -> None:
    """Warn, before hours of downloading, of a model that this machine cannot hold."""
    state = memory_state()
    sizes = [size for size in (state.total, state.limit) if size is not None]
    if sizes and n_bytes > min(sizes):
        _logger.warning(
            "%s has %.1f GiB, more than the %.1f GiB of memory here: it would run from "
            "the disk, very slowly, or not at all",
            *(name, n_bytes / 2**30, min(sizes) / 2**30),
        )
