"""Faults of requests, in the words of OpenAI's errors."""

from __future__ import annotations

from typing import NamedTuple

from llamacy.errors import (
    ArgumentError,
    ChatTemplateError,
    ContextLengthError,
    MissingPackageError,
    UnknownOptionError,
    UnsupportedCallError,
    UnsupportedError,
)
from llamacy.protocols.fields import field_at_fault


class RequestFault(NamedTuple):
    """A fault that the request has, which no other try will mend: HTTP status 400.

    Attributes
    ----------
    code : str
        OpenAI's `code`, for programs.
    field : str or None
        The field at fault.
    """

    code: str
    field: str | None = None


def request_fault(error: Exception, prompt_field: str) -> RequestFault | None:
    """Return the fault of a request that failed; None if the request is not at fault.

    Parameters
    ----------
    error : Exception
        The error.
    prompt_field : str
        The field at fault where a prompt is too long or cannot be written.

    Examples
    --------
    >>> request_fault(ArgumentError("top_p: wanted 0 to 1, found 2"), "prompt")
    RequestFault(code='invalid_value', field='top_p')
    """
    match error:
        case ContextLengthError():
            return RequestFault("context_length_exceeded", prompt_field)
        case ChatTemplateError():
            return RequestFault("invalid_prompt", prompt_field)
        case UnknownOptionError():
            return RequestFault("unknown_parameter", field_at_fault(str(error)))
        case ArgumentError():
            return RequestFault("invalid_value", field_at_fault(str(error)))
        case UnsupportedError() | UnsupportedCallError() | MissingPackageError():
            return RequestFault("unsupported_value")
    return None
