"""Ollama's endpoints that change the models of a machine: all are refused.

Models are files of whoever runs the server, and are named on its command line.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.requests import Request

from llamacy.server.errors import Refusal

# the body, of gigabytes for a blob, is not read
_UNREAD: Final = {"connection": "close"}

_REASONS: Final = (
    ("DELETE", "/api/delete", "models are removed on its machine: llamacy rm NAME"),
    ("POST", "/api/copy", "a model is named at the start: llamacy serve NAME=FILE"),
    (
        "POST",
        "/api/create",
        "give the system's message and the options with each request, and convert or "
        "quantize files with llamacy convert and llamacy quantize",
    ),
    ("POST", "/api/push", "nothing is uploaded"),
    ("POST", "/api/blobs/{digest}", "no files are taken"),
    ("HEAD", "/api/blobs/{digest}", "no files are taken"),
)


def _refusing(path: str, reason: str) -> Callable[[Request], Awaitable[Any]]:
    """Return an endpoint that refuses every request."""
    name = path.removeprefix("/api/").partition("/")[0]

    async def refuse(_: Request) -> Any:
        message = f"{name}: this server has no such call; {reason}"
        raise Refusal(403, message, code="unsupported_call", headers=_UNREAD)

    return refuse


REFUSED: Final = tuple(
    (method, path, _refusing(path, reason)) for method, path, reason in _REASONS
)
"""Method, path and endpoint of each."""
