"""Translates `huggingface_hub`'s exceptions to llamacy's, which say what to do."""

from __future__ import annotations

import errno

from llamacy.errors import (
    FormatError,
    HubAccessError,
    HubConnectionError,
    HubNotFoundError,
    LlamacyError,
    ModelFileError,
)
from llamacy.hub.cache import cached_models
from llamacy.hub.choice import listed
from llamacy.hub.names import HubName
from llamacy.hub.near_misses import advice

_TOO_MANY_REQUESTS = 429
_DISK_ERRORS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
    errno.EIO,
    errno.EACCES,
    errno.EPERM,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
}
"""Error numbers that come from the disk rather than the network."""


def explained(error: Exception, name: HubName) -> LlamacyError:
    """Return llamacy's error for an exception of `huggingface_hub` about `name`."""
    from huggingface_hub import errors

    where = f"{endpoint()}/{name.repo}"
    if isinstance(error, errors.GatedRepoError):
        return HubAccessError(
            f"{name.repo} is gated: request access at {where} and {_token()}"
        )
    if isinstance(error, errors.DisabledRepoError):
        return HubAccessError(f"{name.repo}: the hub has disabled this repository")
    if isinstance(error, errors.RepositoryNotFoundError):
        return HubNotFoundError(
            f"no repository {name.repo} at {endpoint()}, nor a path of that name; "
            f"if the repository is private, {_token()}{advice(name.repo)}"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return HubNotFoundError(
            f"{name.repo} has no revision {name.revision or 'main'}"
        )
    if isinstance(error, errors.RemoteEntryNotFoundError):
        return HubNotFoundError(f"{where}: a file has just been removed; try again")
    if isinstance(error, errors.OfflineModeIsEnabled):
        return HubConnectionError(
            f"{name}: HF_HUB_OFFLINE is set, so nothing is downloaded; {_cached()}"
        )
    if isinstance(error, errors.LocalEntryNotFoundError):
        if isinstance(error.__cause__, Exception):
            return explained(error.__cause__, name)
    elif isinstance(error, errors.HfHubHTTPError):
        return _refused(error.response.status_code, name)
    elif type(error) is OSError and error.errno is None:  # raised for a wrong size
        return FormatError(str(name), "size", "what the hub announced", _text(error))
    elif isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        path = error.filename if isinstance(error.filename, str) else str(name)
        return ModelFileError(error.errno, error.strerror, path)
    return HubConnectionError(
        f"{name}: cannot be downloaded from {endpoint()}: {_text(error)}; {_cached()}"
    )


def _refused(status: int, name: HubName) -> LlamacyError:
    if status in (401, 403):
        return HubAccessError(f"{name.repo}: {endpoint()} denies access: {_token()}")
    is_busy = status == _TOO_MANY_REQUESTS
    advice = "too many requests, wait a little" if is_busy else "try again later"
    return HubConnectionError(
        f"{name}: {endpoint()} answers with status {status}: {advice}; {_cached()}"
    )


def endpoint() -> str:
    """Return the address of the hub."""
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


def _token() -> str:
    """Return what to do about denied access."""
    from huggingface_hub import get_token

    if get_token() is None:
        return "set HF_TOKEN to a token that may read it"
    return "check that the token (HF_TOKEN) may read it"


def _cached() -> str:
    names = [model.name for model in cached_models()]
    return f"in the cache: {listed(names)}"


def _text(error: Exception) -> str:
    """Return the error's message in one line of printable characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return "".join(one for one in text if one.isprintable())
