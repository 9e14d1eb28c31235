"""Downloads, finds and removes models by their names on the Hugging Face hub.

The library `huggingface_hub` transfers files and stores them in its cache, which other
programs share. Its environment variables (`HF_HOME`, `HF_HUB_CACHE`, `HF_TOKEN`,
`HF_ENDPOINT`, `HF_HUB_OFFLINE`) apply here too. This package adds:

===========  ======================================================================
names        parsing of names
addresses    the same for addresses of the hub's web pages
choice       the choice among a repository's GGUF files
folders      the same for repositories that are a folder of safetensors
cache        the models in the cache; works offline, and imports next to nothing
transfer     downloads
failures     translation of `huggingface_hub`'s exceptions to llamacy's
removal      removal from the cache
catalogue    a table of models to try
near_misses  models that a mistyped name may mean
===========  ======================================================================

Nothing here reads a GGUF file. Of a folder, only config.json, modules.json and the
index of the safetensors are read, to tell which files there are, and whether llamacy
can run the model.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from llamacy.arguments import checks_options, short
from llamacy.errors import ArgumentError
from llamacy.hub.cache import CachedModel, cached_models, find_cached
from llamacy.hub.names import NAME_FORMS, HubName, parse_name
from llamacy.hub.removal import remove_cached

__all__ = ["CachedModel", "cached_models", "find_or_pull", "pull", "remove_cached"]


@checks_options()
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
    from llamacy.hub.near_misses import advice
    from llamacy.hub.transfer import fetch

    parsed = parse_name(name) if isinstance(name, str) else None
    if parsed is None:
        near = advice(name) if isinstance(name, str) else ""
        raise ArgumentError(f"name: wanted {NAME_FORMS}, found {short(name)}{near}")
    if progress is not None and not callable(progress):
        raise ArgumentError(f"progress: wanted a function, found {short(progress)}")
    return fetch(parsed, progress)


def find_or_pull(
    name: HubName, progress: Callable[[float], None] | None = None
) -> Path:
    """Find a model in the cache; download it if it is not there.

    A model in the cache is used as it is, without asking the hub for a newer version.
    Raises the same errors as `pull`.
    """
    found = find_cached(name)
    if found is not None:
        return found
    from llamacy.hub.transfer import fetch

    return fetch(name, progress)
