"""Responses: JSON, and streams of events that end when their client leaves."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from typing import Any, Final, Protocol, TypeVar

from starlette.types import Receive, Scope, Send

from llamacy.results import Completion
from llamacy.server.leaving import ClientGone, departs, end

MadeT = TypeVar("MadeT")

STALLED_SECONDS: Final = 120.0
"""Seconds without a byte that the client takes, after which it counts as gone.

Its text is parked all the while, but holds its memory.
"""

MANY: Final = 1000
"""Log-probabilities that take some milliseconds to write."""

_EVENT_STREAM = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",  # asks nginx to pass events on at once
}


class Closable(Protocol):
    """A stream of generated text."""

    async def aclose(self) -> None:
        """End it, and free its memory."""


def dumped(value: object) -> bytes:
    """Return a value as compact JSON, in UTF-8."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")  # of halves of surrogates


def dumped_in_parts(value: object) -> bytes:
    """Return the same; the items of lists in an object are written one by one.

    The encoder of a large value holds up all threads until it has ended.
    """
    if not isinstance(value, Mapping):
        return dumped(value)
    written = [
        dumped(key)
        + b":"
        + (
            b"[%s]" % b",".join(map(dumped, inner))
            if isinstance(inner, list)
            else dumped(inner)
        )
        for key, inner in value.items()
    ]
    return b"{%s}" % b",".join(written)


def event(value: object, name: str = "") -> bytes:
    r"""Return a server-sent event with JSON as its data.

    Examples
    --------
    >>> event({"a": 1})
    b'data: {"a":1}\n\n'
    """
    line = f"event: {name}\n".encode() if name else b""
    return b"%sdata: %s\n\n" % (line, dumped(value))


class JSON:
    """A response of JSON.

    Parameters
    ----------
    value : object
        Any JSON value.
    status : int, default 200
        HTTP status.
    headers : mapping of str to str, optional
        Further headers.
    """

    def __init__(
        self,
        value: object,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._body = dumped_in_parts(value)
        self._status = status
        self._headers = {
            "content-type": "application/json",
            "content-length": str(len(self._body)),
            **(headers or {}),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it: the interface of ASGI."""
        await send(_start(self._status, self._headers))
        body = b"" if scope["method"] == "HEAD" else self._body
        await send({"type": "http.response.body", "body": body})


async def made(make: Callable[[], MadeT], texts: Iterable[Completion]) -> MadeT:
    """Return what `make` returns; call it on another thread if that may take long.

    Parameters
    ----------
    make : callable
        Makes a response, or its value.
    texts : iterable of Completion
        The texts in it, whose log-probabilities may be many.
    """
    is_large = sum(map(_n_likely, texts)) >= MANY
    return await asyncio.to_thread(make) if is_large else make()


def _n_likely(text: Completion) -> int:
    """Count the log-probabilities of a text, those of other tokens included."""
    lists = [text.logprobs or (), text.prompt_logprobs or ()]
    return sum(1 + len(one.top) for each in lists for one in each if one)


class Events:
    """A response of events, as they are generated.

    At its end the events are closed, and the streams behind them: also if a client
    hangs up while its socket is full.

    Parameters
    ----------
    events : async generator of bytes
        The events, each as it is to be sent.
    streams : iterable of Closable
        Generated texts, which have begun.
    comment : callable
        Returns a line that clients ignore, sent when no event comes for
        `quiet_seconds`.
    quiet_seconds : float
        Seconds after which a client might take silence for a dead connection.
    headers : mapping of str to str
        The response's headers; by default those of server-sent events.
    """

    def __init__(
        self,
        events: AsyncGenerator[bytes, None],
        streams: Iterable[Closable],
        comment: Callable[[], bytes],
        quiet_seconds: float,
        headers: Mapping[str, str] = _EVENT_STREAM,
    ) -> None:
        self._events = events
        self._streams = tuple(streams)
        self._comment = comment
        self._quiet_seconds = quiet_seconds
        self._headers = headers
        self._is_sending = False
        self._last_sent = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them: the interface of ASGI."""
        writing = asyncio.ensure_future(self._write(send))
        others = [
            asyncio.ensure_future(departs(receive)),
            asyncio.ensure_future(self._keep_alive(send)),
        ]
        try:
            await asyncio.wait({writing, *others}, return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                writing.result()
        finally:
            await end(writing, *others)
            await self._events.aclose()
            for stream in self._streams:
                await stream.aclose()

    async def _write(self, send: Send) -> None:
        await self._send(send, _start(200, self._headers))
        async for one in self._events:
            await self._send(send, _part(one))
        await self._send(send, {"type": "http.response.body", "body": b""})

    async def _keep_alive(self, send: Send) -> None:
        """Send a comment whenever no event has come for a while."""
        while True:
            silent = time.monotonic() - self._last_sent
            if silent < self._quiet_seconds:
                await asyncio.sleep(self._quiet_seconds - silent)
            elif self._is_sending:  # the client is behind: it has enough to read
                await asyncio.sleep(self._quiet_seconds)
            else:
                await self._send(send, _part(self._comment()))

    async def _send(self, send: Send, message: dict[str, Any]) -> None:
        self._is_sending = True
        try:
            async with asyncio.timeout(STALLED_SECONDS):
                await send(message)
        except TimeoutError:
            raise ClientGone from None
        self._is_sending = False
        self._last_sent = time.monotonic()


def _start(status: int, headers: Mapping[str, str]) -> dict[str, Any]:
    pairs = [(key.encode(), value.encode("latin-1")) for key, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": pairs}


def _part(body: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": True}
