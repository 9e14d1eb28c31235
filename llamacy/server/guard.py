"""The way in for every request: access, ids, the log, and a server that stops."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llamacy.printable import printable
from llamacy.results import Usage
from llamacy.server.access import Access
from llamacy.server.errors import Refusal, refusal_of, stopping
from llamacy.server.leaving import ClientGone
from llamacy.server.responses import JSON
from llamacy.server.shapes import error_body

_CLIENT_GONE = 499  # nginx's status for the log

_logger = logging.getLogger("llamacy.server.access")


class Gate:
    """Counts the requests that run, and lets no new ones in once it was closed.

    Attributes
    ----------
    n_running : int
        Requests that run.
    is_closed : bool
        Whether new ones are refused.
    """

    def __init__(self) -> None:
        self.n_running = 0
        self.is_closed = False
        self._idle = asyncio.Event()
        self._idle.set()

    def close(self) -> None:
        """Refuse new requests from now on."""
        self.is_closed = True

    async def wait_until_idle(self) -> None:
        """Wait until no request runs."""
        await self._idle.wait()

    def __enter__(self) -> None:
        self.n_running += 1
        self._idle.clear()

    def __exit__(self, *exception: object) -> None:
        self.n_running -= 1
        if not self.n_running:
            self._idle.set()


class Guard:
    """Middleware around the whole application.

    Parameters
    ----------
    app : ASGI application
        Answers the requests that are let in.
    access : Access
        Which requests are let in.
    gate : Gate
        Counts them.
    """

    def __init__(self, app: ASGIApp, access: Access, gate: Gate) -> None:
        self._app = app
        self._access = access
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request: the interface of ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        entry = _Entry(scope, send)
        try:
            with self._gate:
                await self._answer(scope, receive, entry)
        finally:
            entry.write()

    async def _answer(self, scope: Scope, receive: Receive, entry: _Entry) -> None:
        path = path_of(scope)
        try:
            self._access.check(path, Headers(scope=scope))
            if self._gate.is_closed:
                raise stopping()
            await self._app(scope, receive, entry.send)
        except ClientGone:
            entry.status = _CLIENT_GONE
        except Exception as error:
            refusal = refusal_of(error)
            if not entry.has_begun:
                await refused(path, refusal)(scope, receive, entry.send)


class _Entry:
    """One line of the log, and the id of its request, which the response bears."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.status = 0
        self.has_begun = False
        self._scope = scope
        self._send = send
        self._id = f"req_{uuid.uuid4().hex}"
        self._began = time.perf_counter()

    async def send(self, message: Message) -> None:
        """Send a message of the response, its id among the headers."""
        if message["type"] == "http.response.start":
            self.has_begun = True
            self.status = message["status"]
            message = {
                **message,
                "headers": [*message["headers"], (b"x-request-id", self._id.encode())],
            }
        await self._send(message)

    def write(self) -> None:
        """Log the request, and nothing of its contents."""
        host = (self._scope.get("client") or ("-",))[0]
        _logger.info(
            "%s %s %s %d %.3f s %s%s",
            host,
            self._scope["method"],
            printable(self._scope["path"][:200]),
            self.status,
            time.perf_counter() - self._began,
            self._id,
            self._scope.get("llamacy.counts", ""),
        )


def note_tokens(scope: Scope, usage: Usage) -> None:
    """Note the token counts of a response for the log."""
    scope["llamacy.counts"] = (
        f" read {usage.prompt_tokens} tokens, {usage.cached_tokens} of them cached; "
        f"wrote {usage.completion_tokens}"
    )


def refused(path: str, refusal: Refusal) -> JSON:
    """Return the response of a refusal, in the shape of the path's API."""
    return JSON(error_body(path, refusal), refusal.status, refusal.headers)


def path_of(scope: Scope) -> str:
    """Return a request's path within the application, which may be mounted."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
