"""Refusals as the error bodies that the clients of each API read."""

from __future__ import annotations

from typing import Any

from llamacy.server.errors import Refusal

_OPENAI_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
}
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


def error_body(path: str, refusal: Refusal) -> dict[str, Any]:
    """Return the body of a refusal, in the shape of the API that `path` belongs to.

    Parameters
    ----------
    path : str
        The request's path within the application.
    refusal : Refusal
        The refusal.
    """
    if path.startswith(("/v1/messages", "/messages")):
        return anthropic_error(refusal)
    if path.startswith("/api/"):
        return {"error": refusal.message}
    return openai_error(refusal)


def anthropic_error(refusal: Refusal) -> dict[str, Any]:
    """Return a refusal in Anthropic's shape.

    Examples
    --------
    >>> anthropic_error(Refusal(400, "wanted less"))["error"]["type"]
    'invalid_request_error'
    """
    kind = "api_error" if refusal.status >= 500 else "invalid_request_error"
    error = {
        "type": _ANTHROPIC_TYPES.get(refusal.status, kind),
        "message": refusal.message,
    }
    return {"type": "error", "error": error}


def openai_error(refusal: Refusal) -> dict[str, Any]:
    """Return a refusal in OpenAI's shape.

    Examples
    --------
    >>> openai_error(Refusal(400, "n: wanted less", field="n"))["error"]["param"]
    'n'
    """
    kind = "server_error" if refusal.status >= 500 else "invalid_request_error"
    return {
        "error": {
            "message": refusal.message,
            "type": _OPENAI_TYPES.get(refusal.status, kind),
            "param": refusal.field,
            "code": refusal.code,
        }
    }
