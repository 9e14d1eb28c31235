"""Exceptions as refusals with a status, which tell a client whether to try again."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Final

from llamacy.errors import (
    BusyError,
    ClosedError,
    ContextLengthError,
    HubAccessError,
    HubError,
    HubNotFoundError,
    LlamacyError,
    OutOfMemoryError,
)
from llamacy.protocols.faults import request_fault

_BUSY_SECONDS: Final = 2
"""Seconds after which a client is asked to try again; some wait them in full."""

_NEVER: Final = {"x-should-retry": "false"}
_SOON: Final = {"retry-after": str(_BUSY_SECONDS)}

_JSON_NAMES: Final = {"True": "true", "False": "false", "None": "null"}
_QUOTED: Final = r"(?<!\w)'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_PYTHON_NAME: Final = re.compile(rf"{_QUOTED}|\b({'|'.join(_JSON_NAMES)})\b")

_logger = logging.getLogger("llamacy.server")


class Refusal(Exception):
    """A request that is answered with an error.

    Parameters
    ----------
    status : int
        HTTP status.
    message : str
        The fault, for a person.
    field : str, optional
        The field of the request at fault.
    code : str, optional
        The fault, for a program, in OpenAI's words where it has some.
    headers : mapping of str to str
        Further headers of the response.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        field: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.field = field
        self.code = code
        self.headers = dict(headers or {})


def refusal_of(error: Exception, prompt_field: str = "messages") -> Refusal:
    """Return the refusal of a request that failed with `error`.

    Parameters
    ----------
    error : Exception
        Any exception. One that is neither llamacy's nor a refusal is logged, and the
        client learns nothing of it.
    prompt_field : str
        The field at fault where a prompt is too long or cannot be written.
    """
    if isinstance(error, Refusal):
        return error
    message = in_json_names(str(error))
    if (fault := request_fault(error, prompt_field)) is not None:
        if isinstance(error, ContextLengthError):
            message = _too_long(error)
        return Refusal(400, message, field=fault.field, code=fault.code)
    match error:
        case BusyError():
            return Refusal(429, message, code="queue_full", headers=_SOON)
        case OutOfMemoryError():
            return Refusal(503, message, code="out_of_memory", headers=_SOON)
        case ClosedError():
            return Refusal(503, message, code="model_closed", headers=_NEVER)
        case HubNotFoundError() | HubAccessError():
            return Refusal(404, message, field="model", code="model_not_found")
        case HubError():
            return Refusal(502, message, code="hub_error", headers=_NEVER)
        case LlamacyError():
            _logger.error("%s: %s", type(error).__name__, message)
            return Refusal(500, message, code="server_error", headers=_NEVER)
    _logger.error("a request failed", exc_info=error)
    return Refusal(500, "the server failed", code="server_error", headers=_NEVER)


def in_json_names(message: str) -> str:
    """Return a message with JSON's names of values in the place of Python's.

    Quoted texts stay as they are.

    Examples
    --------
    >>> in_json_names("stream: wanted True or False, found {'True': None}")
    "stream: wanted true or false, found {'True': null}"
    """
    return _PYTHON_NAME.sub(
        lambda found: _JSON_NAMES[found[1]] if found[1] else found[0], message
    )


def no_memory(n_bytes: int, max_bytes: int, *, can_wait: bool) -> Refusal:
    """Return the refusal of a request for a model that does not fit into memory.

    Parameters
    ----------
    n_bytes : int
        Bytes that the model needs.
    max_bytes : int
        Bytes that all models may have.
    can_wait : bool
        Whether others, which are in use, will make room.
    """
    need = f"the model needs {n_bytes} bytes of {max_bytes} (--max-memory)"
    if can_wait:
        message = f"{need}, and others are in use"
        return Refusal(503, message, code="out_of_memory", headers=_SOON)
    return Refusal(503, need, code="out_of_memory", headers=_NEVER)


def _too_long(error: ContextLengthError) -> str:
    """Return the message in words that agents and litellm look for, to shorten it."""
    return (
        f"prompt is too long: {error.n_tokens} tokens > {error.n_ctx} maximum "
        f"(this model's maximum context length is {error.n_ctx} tokens)"
    )


def stopping() -> Refusal:
    """Return the refusal of a request that comes while the server stops."""
    message = "the server is stopping: running answers end, and no new ones begin"
    return Refusal(503, message, code="stopping", headers=_SOON)
