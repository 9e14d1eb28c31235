"""Addresses of models on the hub's web pages, as a browser shows and copies them."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

_HOSTS: Final = ("huggingface.co", "www.huggingface.co", "hf.co")
_SCHEMES: Final = ("https://", "http://")
_WITH_REVISION: Final = ("blob", "resolve", "tree", "raw")
_MAIN: Final = "main"


def is_address(text: str) -> bool:
    """Whether `text` is the address of anything on the web."""
    return text.lower().startswith(_SCHEMES)


def name_of_address(text: str) -> str | None:
    """Return the name of a repository or file whose address `text` is.

    Parameters
    ----------
    text : str
        `"https://huggingface.co/user/repo"`, with or without `https://`, for example.
        The address may lead on to the repository's tree, or to a file that is shown or
        downloaded.

    Returns
    -------
    str or None
        The name in the form that `llamacy.hub.names` parses; None if `text` is not an
        address of the hub.

    Examples
    --------
    >>> name_of_address("https://huggingface.co/user/repo/blob/main/m-Q4_0.gguf")
    'user/repo/m-Q4_0.gguf'
    >>> name_of_address("hf.co/user/repo:Q4_0")
    'user/repo:Q4_0'
    """
    bare = text.strip()
    for scheme in _SCHEMES:
        if bare.lower().startswith(scheme):
            bare = bare[len(scheme) :]
    host, _, path = bare.partition("/")
    if host.lower() not in _HOSTS:
        return None
    parts = _parts(path)
    repo, rest = "/".join(parts[:2]), parts[2:]
    if len(rest) < 2 or rest[0] not in _WITH_REVISION:
        return "/".join(parts)
    revision, file = rest[1], "/".join(rest[2:])
    at = "" if revision == _MAIN else f"@{revision}"
    # if the revision has slashes, another one would make the file a part of it
    mark = ":" if "/" in revision else "/"
    return f"{repo}{at}{mark}{file}" if file else f"{repo}{at}"


def _parts(path: str) -> list[str]:
    """Split the path of an address, without its query and fragment."""
    plain = path.partition("?")[0].partition("#")[0].strip("/")
    return [unquote(part) for part in plain.split("/")]
