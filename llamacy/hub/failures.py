"""What can go wrong with the hub, as errors of ours that say what to do about it."""

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

_BUSY = 429
_OF_DISKS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EACCES),
    *(errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG),
}
"""What is no trouble of the network."""


def explained(error: Exception, name: HubName) -> LlamacyError:
    """Turn what ``huggingface_hub`` raised over `name` into an error of ours."""
    from huggingface_hub import errors

    where = f"{endpoint()}/{name.repo}"
    if isinstance(error, errors.GatedRepoError):
        return HubAccessError(
            f"{name.repo} asks for a permit: get it at {where} and {_token()}"
        )
    if isinstance(error, errors.DisabledRepoError):
        return HubAccessError(f"{name.repo}: the hub has disabled this repository")
    if isinstance(error, errors.RepositoryNotFoundError):
        return HubNotFoundError(
            f"no repository {name.repo} at {endpoint()}, nor a path of that name; "
            f"if it is private, {_token()}"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return HubNotFoundError(
            f"{name.repo} has no revision {name.revision or 'main'}"
        )
    if isinstance(error, errors.RemoteEntryNotFoundError):
        return HubNotFoundError(f"{where}: a file that was there is gone; try again")
    if isinstance(error, errors.OfflineModeIsEnabled):
        return HubConnectionError(
            f"{name}: HF_HUB_OFFLINE is set, nothing is fetched; {_cached()}"
        )
    if isinstance(error, errors.LocalEntryNotFoundError):
        if isinstance(error.__cause__, Exception):
            return explained(error.__cause__, name)
    elif isinstance(error, errors.HfHubHTTPError):
        return _refused(error.response.status_code, name)
    elif type(error) is OSError and error.errno is None:  # it compares sizes
        return FormatError(str(name), "size", "what the hub announced", _text(error))
    elif isinstance(error, OSError) and error.errno in _OF_DISKS:
        path = error.filename if isinstance(error.filename, str) else str(name)
        return ModelFileError(error.errno, error.strerror, path)
    return HubConnectionError(
        f"{name}: cannot get it from {endpoint()}: {_text(error)}; {_cached()}"
    )


def _refused(status: int, name: HubName) -> LlamacyError:
    if status in (401, 403):
        return HubAccessError(f"{name.repo}: {endpoint()} refuses access: {_token()}")
    reason = (
        "too many requests, wait a little" if status == _BUSY else "try again later"
    )
    return HubConnectionError(
        f"{name}: {endpoint()} answers with status {status}: {reason}; {_cached()}"
    )


def endpoint() -> str:
    """Return the address of the hub."""
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


def _token() -> str:
    """Say what to do about access."""
    from huggingface_hub import get_token

    if get_token() is None:
        return "set HF_TOKEN to a token that may read it"
    return "check that the token (HF_TOKEN) may read it"


def _cached() -> str:
    names = [model.name for model in cached_models()]
    return f"in the cache: {listed(names)}"


def _text(error: Exception) -> str:
    """`error` in one line, of characters that can be shown."""
    text = " ".join(str(error).split()) or type(error).__name__
    return "".join(one for one in text if one.isprintable())
