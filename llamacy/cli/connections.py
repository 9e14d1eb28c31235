"""Connections whose clients must come to the point: bounds that uvicorn lacks."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.auto import AutoHTTPProtocol

HEAD_SECONDS: Final = 30.0
"""Time for the head of a request to arrive, or the first one's first byte."""

UNSENT_SECONDS: Final = 120.0
"""Time for a client to take the rest of a response that is complete."""

_Base: Any = AutoHTTPProtocol  # of h11 or httptools


class Connection(_Base):  # type: ignore[misc]
    """A connection that is closed when its client dawdles.

    uvicorn closes connections that are silent after a response. One that sends its
    request's head byte by byte, or that does not take a response, would hold its memory
    and its file descriptor for as long as it likes.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._timer: asyncio.TimerHandle | None = None
        self._unsent_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        # a response waits until the one before it is taken: a client may ask for both
        # at once, and `resume_writing` is called only then; with TLS, whose handshake
        # may wait to be sent, `pause_writing` may be called here and now
        transport.set_write_buffer_limits(high=1, low=0)
        self._timer = self.loop.call_later(HEAD_SECONDS, transport.close)

    def data_received(self, data: bytes) -> None:
        """Take bytes; stop waiting once they complete a head."""
        super().data_received(data)
        is_waiting = self.cycle is None or self.cycle.response_complete
        if not is_waiting:
            self._stop_waiting()
        elif self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        self._forget_unsent()
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        """Go on: the client has taken all."""
        self._forget_unsent()
        super().resume_writing()

    def on_response_complete(self) -> None:
        """Give the client time to take what it has not taken yet."""
        super().on_response_complete()
        if self.transport.get_write_buffer_size():
            self._unsent_timer = self.loop.call_later(
                UNSENT_SECONDS, self._abort_if_unsent
            )

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _forget_unsent(self) -> None:
        if self._unsent_timer is not None:
            self._unsent_timer.cancel()
            self._unsent_timer = None

    def _abort_if_unsent(self) -> None:
        self._unsent_timer = None
        if self.transport.get_write_buffer_size():
            self.transport.abort()
