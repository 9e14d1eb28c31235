"""Running an application with uvicorn, until a signal stops it."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Collection
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from llamacy.cli.certificates import Certificate
from llamacy.cli.connections import Connection

_GIVE_UP_SECONDS = 5  # for connections to close once they are answered


def run_server(
    application: Starlette,
    host: str,
    port: int,
    names: Collection[str],
    certificate: Certificate | None = None,
) -> None:
    """Run an application until a signal stops it.

    Parameters
    ----------
    application : Starlette
        Made by `llamacy.server.app`.
    host : str
        Address to listen at.
    port : int
        Port to listen at; 0 takes a free one.
    names : collection of str
        The models' names, to be printed.
    certificate : Certificate, optional
        For HTTPS; without one it speaks HTTP.
    """
    _log_to_stderr()
    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        http=Connection,
        ws="none",
        access_log=False,
        log_config=None,
        log_level="warning",
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=_GIVE_UP_SECONDS,
        ssl_certfile=None if certificate is None else certificate.chain,
        ssl_keyfile=None if certificate is None else certificate.key,
    )
    server = Server(config, application, names)
    # what is loaded stays: looking through it for garbage would hold up all requests
    gc.collect()
    gc.freeze()
    server.run()
    if server.force_exit:
        raise SystemExit(130)
    if not server.started:
        raise SystemExit(1)


class Server(uvicorn.Server):
    """A server that at the first signal lets running answers end.

    New requests are refused meanwhile. The second signal ends the answers, too.

    Parameters
    ----------
    config : uvicorn.Config
        How to serve.
    application : Starlette
        Made by `llamacy.server.app`.
    names : collection of str
        The models' names, to be printed.
    """

    def __init__(
        self, config: uvicorn.Config, application: Starlette, names: Collection[str]
    ) -> None:
        super().__init__(config)
        self._gate = application.state.gate
        self._names = names
        self._stopping: asyncio.Task[None] | None = None
        self._running_loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: object = None) -> None:
        """Listen, and say where."""
        self._running_loop = asyncio.get_running_loop()
        await super().startup(None)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            names = ", ".join(self._names)
            url = f"{'https' if self.config.is_ssl else 'http'}://{shown}:{port}"
            print(f"llamacy: serving {names} at {url}", file=sys.stderr)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop, on a signal."""
        if self._gate.is_closed or self._running_loop is None:
            self.should_exit = self.force_exit = True
            # the requests that it cancels are no failures of the application
            logging.getLogger("uvicorn.error").disabled = True
            return
        self._gate.close()
        if n_running := self._gate.n_running:
            print(
                f"llamacy: {n_running} running; Ctrl-C again ends them", file=sys.stderr
            )
        self._running_loop.call_soon_threadsafe(self._begin_to_stop)

    def _begin_to_stop(self) -> None:
        self._stopping = asyncio.ensure_future(self._stop())

    async def _stop(self) -> None:
        await self._gate.wait_until_idle()
        self.should_exit = True


def _log_to_stderr() -> None:
    """Show the server's own log, a line for each request."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger = logging.getLogger("llamacy.server")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
