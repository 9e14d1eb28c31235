"""The way in for every request: access, ids, the log, and a server that stops."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from llamacy.server.access import Access
from llamacy.server.errors import Refusal, refusal_of, stopping
from llamacy.server.leaving import ClientGone
from llamacy.server.metrics import Metrics
from llamacy.server.record import Record
from llamacy.server.responses import JSON
from llamacy.server.shapes import error_body

_CLIENT_GONE = 499  # nginx's status for the log


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
    metrics : Metrics
        Measures them.
    """

    def __init__(
        self, app: ASGIApp, access: Access, gate: Gate, metrics: Metrics
    ) -> None:
        self._app = app
        self._access = access
        self._gate = gate
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request: the interface of ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = Record(scope, send)
        try:
            with self._gate:
                await self._answer(scope, receive, record)
        finally:
            record.end()
            route = scope.get("route")
            path = "other" if route is None else route.path
            self._metrics.note_request(path, record.status, self._gate.n_running)

    async def _answer(self, scope: Scope, receive: Receive, record: Record) -> None:
        path = path_of(scope)
        try:
            self._access.check(path, Headers(scope=scope))
            if self._gate.is_closed:
                raise stopping()
            await self._app(scope, receive, record.send)
        except ClientGone:
            record.status = _CLIENT_GONE
        except Exception as error:
            refusal = refusal_of(error)
            if not record.has_begun:
                await refused(path, refusal)(scope, receive, record.send)


def refused(path: str, refusal: Refusal) -> JSON:
    """Return the response of a refusal, in the shape of the path's API."""
    return JSON(error_body(path, refusal), refusal.status, refusal.headers)


def path_of(scope: Scope) -> str:
    """Return a request's path within the application, which may be mounted."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
