"""Models by the names they have on the Hugging Face hub: fetched, kept, removed.

The library ``huggingface_hub`` transfers the files and keeps them in its cache, which
other programs share; its environment variables (``HF_HOME``, ``HF_HUB_CACHE``,
``HF_TOKEN``, ``HF_ENDPOINT``, ``HF_HUB_OFFLINE``) hold here too. What is added here:

==============  ==========================================================
:mod:`.names`    how a name is written
:mod:`.choice`   which files of a repository it means
:mod:`.folders`  the same where they are a folder of safetensors
:mod:`.cache`    what is on this machine; asks nobody, imports next to nothing
:mod:`.transfer` getting what is not
:mod:`.failures` what can go wrong with that, as errors of ours
:mod:`.removal`  getting rid of it
==============  ==========================================================

None of it knows what is in a GGUF file. Of a folder it reads the index of its
safetensors, and whether config.json is that of a model that can be run.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from llamacy.errors import ArgumentError
from llamacy.hub.cache import CachedModel, cached_models, find_cached
from llamacy.hub.names import WRITTEN, HubName, parse_name
from llamacy.hub.removal import remove_cached

__all__ = ["CachedModel", "cached_models", "find_or_pull", "pull", "remove_cached"]


def pull(name: str, *, progress: Callable[[float], None] | None = None) -> Path:
    """Fetch a model from the hub, or its newer version, unless the cache has it.

    `llamacy.load` fetches a model that is missing, and otherwise takes what is in the
    cache; call `pull` to fetch beforehand, or to ask the hub for a newer version.

    Parameters
    ----------
    name : str
        ``"user/repo:Q4_K_M"``, ``"user/repo"`` or ``"user/repo/file.gguf"``, each with
        ``@revision`` after the repository unless it is the newest.
    progress : callable, optional
        Called with the share transferred, 0.0 to 1.0; an exception that it raises ends
        the transfer.

    Returns
    -------
    Path
        The file in the cache; of a split model, the first. Or the folder, for a
        repository that has safetensors and no GGUF file: ``"user/repo:Q4_K_M"`` is the
        same folder then, whose weights are quantised whenever they are loaded.

    Raises
    ------
    ArgumentError
        The name is invalid, may mean several models, or names a type that safetensors
        cannot be quantised to.
    HubNotFoundError
        There is no such repository, revision or file.
    HubAccessError
        The repository needs a token (``HF_TOKEN``), or another one.
    HubConnectionError
        The hub cannot be reached, or the transfer was interrupted.
    ModelFileError
        A file cannot be written, for example because the disk is full.
    FormatError
        A file arrived with another size than the hub says, or config.json or the index
        is broken; or UnsupportedError, the repository has neither a GGUF file nor
        safetensors of a model that llamacy can run.

    Examples
    --------
    >>> path = llamacy.pull("bartowski/SmolLM2-135M-Instruct-GGUF:Q4_K_M")
    >>> path.name
    'SmolLM2-135M-Instruct-Q4_K_M.gguf'
    """
    from llamacy.hub.transfer import fetch

    parsed = parse_name(name) if isinstance(name, str) else None
    if parsed is None:
        raise ArgumentError(f"name: wanted {WRITTEN}, found {name!r}")
    if progress is not None and not callable(progress):
        raise ArgumentError(f"progress: wanted a function, found {progress!r}")
    return fetch(parsed, progress)


def find_or_pull(
    name: HubName, progress: Callable[[float], None] | None = None
) -> Path:
    """Find the model that `name` means in the cache; fetch it if it is not there.

    What is in the cache is taken as it is, and nobody asked for a newer version.
    Raises what :func:`pull` does.
    """
    found = find_cached(name)
    if found is not None:
        return found
    from llamacy.hub.transfer import fetch

    return fetch(name, progress)
