"""The models in the cache.

Reads the cache of `huggingface_hub` directly from disk, without that library's slow
parts and without asking the hub. Files in `refs` map branches and tags to commits. A
commit's folder in `snapshots` has its files, which link to `blobs`, named by hashes of
their contents. A file appears once it is complete.
https://huggingface.co/docs/huggingface_hub/guides/manage-cache
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llamacy.arguments import checks_options
from llamacy.errors import ModelFileError
from llamacy.hub.choice import RepoModel, matching, models_among, names_of
from llamacy.hub.names import HubName, is_safe

COMMIT = re.compile(r"[0-9a-f]{40}")
_FEWEST = 7  # digits that suffice to name a commit
_SHOWN = 8  # digits of a commit in a name


@dataclass(frozen=True)
class CachedModel:
    """A model in the cache.

    Attributes
    ----------
    name : str
        Its name for `llamacy.load` and `llamacy.remove_cached`.
    repo : str
        Its repository.
    files : tuple of str
        Paths in the repository; for a split model all parts, in order.
    path : Path
        The file on disk, or the first of several; or the folder of safetensors.
    n_bytes : int
        Size of all its files, in bytes.
    used : float
        Time of the last read or write, in seconds since 1970, as far as the file system
        records it.
    revisions : tuple of str
        Branches, tags and commits of the repository that have this model.
    """

    name: str
    repo: str
    files: tuple[str, ...]
    path: Path
    n_bytes: int
    used: float
    revisions: tuple[str, ...]


def cache_folder() -> Path:
    """Return the resolved path of the cache's folder, which need not exist."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE).resolve()


def repo_folder(repo: str) -> Path:
    """Return a repository's folder in the cache."""
    return cache_folder() / f"models--{repo.replace('/', '--')}"


def find_cached(name: HubName) -> Path | None:
    """Return the path of the model in the cache that `name` stands for.

    Parameters
    ----------
    name : HubName
        A name. If the repository is a folder of safetensors, its type of weights is
        ignored: the caller quantises.

    Returns
    -------
    Path or None
        The first file, or the folder; None unless exactly one model matches.
    """
    snapshot = _snapshot(repo_folder(name.repo), name.revision or "main")
    if snapshot is None:
        return None
    found = _models_in(snapshot, name.repo, runs=False)
    if not any(model.is_folder for model in found):
        found = matching(found, name)
    return found[0].path_in(snapshot) if len(found) == 1 else None


def _models_in(snapshot: Path, repo: str, *, runs: bool) -> list[RepoModel]:
    """Return the complete models of a revision.

    Parameters
    ----------
    snapshot : Path
        The revision's folder.
    repo : str
        The repository's name, for errors.
    runs : bool
        Whether to return a folder only if llamacy can run its model: the cache also has
        those of other programs.
    """
    files = _files(snapshot)
    if (models := models_among(files)) or "config.json" not in files:
        return models
    # imported here, since reading config.json needs many imports that GGUF does not
    from llamacy.hub.folders import cached_folder

    folder = cached_folder(files, snapshot, repo, runs=runs)
    return [folder] if folder is not None else []


def _snapshot(folder: Path, revision: str) -> Path | None:
    """Return the folder of a revision in a repository's folder."""
    commit = _read_ref(folder / "refs" / revision) or revision
    if COMMIT.fullmatch(commit):
        return folder / "snapshots" / commit
    found = [one for one in _commits(folder) if stands_for(commit, one)]
    return folder / "snapshots" / found[0] if len(found) == 1 else None


def stands_for(text: str, revision: str) -> bool:
    """Whether `text` equals `revision`, or abbreviates it if it is a commit."""
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
    """Return the paths of all files below `folder`, without dangling links."""
    return [
        path.relative_to(folder).as_posix()
        for path in _walk(folder)
        if is_safe(path.relative_to(folder).as_posix()) and path.is_file()
    ]


def _walk(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names)


@checks_options()
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
    """Yield the models of a repository's folder in the cache."""
    refs = _refs(folder)
    # A model is named after the first commit that has it: the default branch's, then
    # those of other branches and tags.
    commits = sorted(
        _commits(folder),
        key=lambda commit: ("main" not in refs.get(commit, ()), commit not in refs),
    )
    # Models are identified by their blobs, so that revisions can share one.
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
        except OSError:  # removed in the meantime
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


def _refs(folder: Path) -> dict[str, list[str]]:
    """Return the branches and tags of each commit."""
    refs: dict[str, list[str]] = {}
    for path in _walk(folder / "refs"):
        if commit := _read_ref(path):
            name = path.relative_to(folder / "refs").as_posix()
            refs.setdefault(commit, []).append(name)
    return refs
