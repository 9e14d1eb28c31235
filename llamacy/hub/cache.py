"""What of the hub is on this machine.

Reads the cache of ``huggingface_hub`` as it is laid out on disk, without that library's
slow parts and without asking the hub: `refs` name commits, a commit's folder in
`snapshots` has its files, which are links into `blobs`, named by what they hold. A
file appears there when it is complete.
https://huggingface.co/docs/huggingface_hub/guides/manage-cache
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llamacy.errors import ModelFileError
from llamacy.hub.choice import RepoModel, matching, models_among, names_of
from llamacy.hub.names import HubName, is_safe

COMMIT = re.compile(r"[0-9a-f]{40}")
_FEWEST = 7  # digits of a commit that stand for it
_SHOWN = 8


@dataclass(frozen=True)
class CachedModel:
    """A model in the cache.

    Attributes
    ----------
    name : what it is called in :func:`llamacy.load` and :func:`llamacy.remove_cached`.
    repo : the repository it is from.
    files : paths in it; of a split model all, in order.
    path : the file, or the first of several, on disk; or the folder of safetensors.
    n_bytes : size of all its files.
    used : when it was last read or written, seconds since 1970, as far as the file
        system keeps account of it.
    revisions : branches, tags and commits of the repository that have this model.
    """

    name: str
    repo: str
    files: tuple[str, ...]
    path: Path
    n_bytes: int
    used: float
    revisions: tuple[str, ...]


def cache_folder() -> Path:
    """Return the folder of the cache, which need not be there, without links."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE).resolve()


def repo_folder(repo: str) -> Path:
    """Return the folder in it that a repository has."""
    return cache_folder() / f"models--{repo.replace('/', '--')}"


def find_cached(name: HubName) -> Path | None:
    """Return the one model in the cache that `name` means: its first file, or a folder.

    Of a folder, the type of weights in `name` is left to who reads it.
    """
    snapshot = _snapshot(repo_folder(name.repo), name.revision or "main")
    if snapshot is None:
        return None
    found = _models_in(snapshot, name.repo, runs=False)
    if not any(model.is_folder for model in found):
        found = matching(found, name)
    return found[0].path_in(snapshot) if len(found) == 1 else None


def _models_in(snapshot: Path, repo: str, *, runs: bool) -> list[RepoModel]:
    """Put the files of a revision together to models, those that are whole.

    runs : whether a folder must be of a model that llamacy can run: other programs'
        are in the cache too.
    """
    files = _files(snapshot)
    if (models := models_among(files)) or "config.json" not in files:
        return models
    # late: reading config.json takes more imports than looking for a file
    from llamacy.hub.folders import cached_folder

    folder = cached_folder(files, snapshot, repo, runs=runs)
    return [folder] if folder is not None else []


def _snapshot(folder: Path, revision: str) -> Path | None:
    """Return where a repository's cache has the files of a revision."""
    commit = _read_ref(folder / "refs" / revision) or revision
    if COMMIT.fullmatch(commit):
        return folder / "snapshots" / commit
    found = [one for one in _commits(folder) if stands_for(commit, one)]
    return folder / "snapshots" / found[0] if len(found) == 1 else None


def stands_for(text: str, revision: str) -> bool:
    """Whether `text` is the name `revision`, or the beginning of such a commit."""
    if len(text) >= _FEWEST and COMMIT.fullmatch(revision):
        return revision.startswith(text)
    return text == revision


def _read_ref(path: Path) -> str | None:
    try:
        commit = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return commit if COMMIT.fullmatch(commit) else None


def _commits(folder: Path) -> list[str]:
    try:
        names = os.listdir(folder / "snapshots")
    except OSError:
        return []
    return sorted(name for name in names if COMMIT.fullmatch(name))


def _files(folder: Path) -> list[str]:
    """Paths of all files below `folder`, without links that lead nowhere."""
    return [
        path.relative_to(folder).as_posix()
        for path in _walk(folder)
        if is_safe(path.relative_to(folder).as_posix()) and path.is_file()
    ]


def _walk(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names)


def cached_models() -> list[CachedModel]:
    """List the models in the hub's cache: GGUF files, and folders of safetensors.

    See what takes disk space, and what can be loaded without a network. Nothing is
    asked of the hub. A model that several revisions of a repository share is listed
    once.

    Returns
    -------
    list of CachedModel
        Sorted by name.

    Raises
    ------
    ModelFileError
        The cache cannot be read.

    Examples
    --------
    >>> path = llamacy.pull("bartowski/SmolLM2-135M-Instruct-GGUF:Q4_K_M")
    >>> [model.name for model in llamacy.cached_models()]
    ['bartowski/SmolLM2-135M-Instruct-GGUF:Q4_K_M']
    """
    root = cache_folder()
    try:
        folders = sorted(os.listdir(root)) if root.exists() else []
    except OSError as error:
        raise ModelFileError(error.errno, error.strerror, str(root)) from error
    models: list[CachedModel] = []
    for folder in folders:
        kind, _, repo = folder.partition("--")
        if kind == "models" and repo:
            models += _models_of(root / folder, repo.replace("--", "/"))
    return sorted(models, key=lambda model: model.name)


def _models_of(folder: Path, repo: str) -> Iterator[CachedModel]:
    refs: dict[str, list[str]] = {}
    for path in _walk(folder / "refs"):
        if commit := _read_ref(path):
            name = path.relative_to(folder / "refs").as_posix()
            refs.setdefault(commit, []).append(name)
    # The default branch first, then other named revisions: these are what to call it.
    commits = sorted(
        _commits(folder),
        key=lambda commit: ("main" not in refs.get(commit, ()), commit not in refs),
    )
    # A model is what its files hold: the same in another revision is the same model.
    found: dict[tuple[Path, ...], list[tuple[str, str, RepoModel]]] = {}
    for commit in commits:
        names = sorted(refs.get(commit, []), key=lambda name: (name != "main", name))
        revision = (*names, commit[:_SHOWN])[0]
        shown = HubName(repo, None if revision == "main" else revision)
        models = _models_in(folder / "snapshots" / commit, repo, runs=True)
        for model, name in zip(models, names_of(models, shown), strict=True):
            paths = [folder / "snapshots" / commit / file for file in model.files]
            blobs = tuple(path.resolve() for path in paths)
            found.setdefault(blobs, []).append((commit, name, model))
    for blobs, places in found.items():
        commit, name, model = places[0]
        try:
            stats = [blob.stat() for blob in blobs]
        except OSError:  # it has just been removed
            continue
        yield CachedModel(
            name=name,
            repo=repo,
            files=model.files,
            path=model.path_in(folder / "snapshots" / commit),
            n_bytes=sum(stat.st_size for stat in stats),
            used=max(max(stat.st_atime, stat.st_mtime) for stat in stats),
            revisions=tuple(
                revision
                for commit, _, _ in places
                for revision in (*refs.get(commit, []), commit)
            ),
        )
