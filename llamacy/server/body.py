"""A request's body as a JSON value, within limits on its size, nesting and time."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, Final, NoReturn

from starlette.requests import ClientDisconnect, Request

from llamacy.server.errors import Refusal
from llamacy.server.leaving import ClientGone

MAX_NESTING: Final = 128
"""Most objects and lists within each other; JSON schemas of tools have some twenty."""

MAX_MARKS: Final = 500_000
"""Most brackets, braces and commas, in texts too: small values take much memory."""

_HALF: Final = re.compile(r"\\u[dD][89a-fA-F]")
"""An escape of half a surrogate pair, which means something only beside the other."""

_SECONDS: Final = 60.0
"""Time for a body to arrive."""


async def json_body(request: Request, most_bytes: int) -> Any:
    """Return the value of a JSON body, whatever its content type says.

    Parameters
    ----------
    request : Request
        The request.
    most_bytes : int
        Most bytes of a body.

    Raises
    ------
    Refusal
        The body is too large, incomplete, too deeply nested, or not JSON.
    ClientGone
        The client hung up.
    """
    try:
        async with asyncio.timeout(_SECONDS):
            body = await _whole(request, most_bytes)
    except TimeoutError:
        message = f"the body did not arrive within {_SECONDS:.0f} seconds"
        raise Refusal(408, message, code="timeout") from None
    except ClientDisconnect:
        raise ClientGone from None
    return parsed(body)


async def _whole(request: Request, most_bytes: int) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > most_bytes:
        raise _too_large(most_bytes)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most_bytes:
            raise _too_large(most_bytes)
    return bytes(body)


def _too_large(most_bytes: int) -> Refusal:
    message = f"wanted a body of at most {most_bytes} bytes, found a larger one"
    # the rest of the body is not read: the connection cannot be used again
    headers = {"connection": "close"}
    return Refusal(413, message, code="request_too_large", headers=headers)


def parsed(body: bytes) -> Any:
    r"""Return the value of a JSON text.

    Raises
    ------
    Refusal
        It is not JSON as RFC 8259 defines it, not UTF-8, too deeply nested, or has
        too many values.

    Examples
    --------
    >>> parsed(b'{"model": "demo"}')
    {'model': 'demo'}
    >>> parsed(b"[NaN]")
    Traceback (most recent call last):
    llamacy.server.errors.Refusal: the body is not JSON: found NaN
    """
    if sum(map(body.count, (b"[", b"{", b","))) > MAX_MARKS:
        message = f"wanted JSON with at most {MAX_MARKS} values, found more"
        raise Refusal(413, message, code="request_too_large")
    try:
        text = body.decode("utf-8")
        value = json.loads(text, parse_constant=_refuse_constant)
        if _HALF.search(text):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:  # of JSON, of Unicode, of integers with 5000 digits
        message = f"the body is not JSON: {error}"
        raise Refusal(400, message, code="invalid_json") from None
    _check_nesting(value)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"found {name}")


def _check_nesting(value: Any) -> None:
    """Check the nesting level by level, whatever the recursion limit is."""
    level = [value]
    for _ in range(MAX_NESTING):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner += item.values()
            elif isinstance(item, list):
                inner += item
        if not inner:
            return
        level = inner
    raise _too_deep()


def _too_deep() -> Refusal:
    message = f"wanted JSON with at most {MAX_NESTING} levels of nesting, found more"
    return Refusal(400, message, code="invalid_json")
