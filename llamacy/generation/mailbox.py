"""Where a thread finds what its requests have led to."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol, TypeAlias

from llamacy.results import Piece

if TYPE_CHECKING:
    from llamacy.generation.request import Request

RUN_AHEAD = 8
"""Pieces generated before the first of them is taken; then a stream waits."""

_POLL_SECONDS = 0.1  # Windows tells a waiting thread of Ctrl-C only between waits


@dataclass(frozen=True, slots=True)
class Progress:
    """Part of a prompt was read; the request knows how much."""


@dataclass(frozen=True, slots=True)
class Done:
    """The request has ended; it knows how."""


Event: TypeAlias = "Piece | Progress | Done"


class Mailbox(Protocol):
    """What the worker needs of a mailbox. It alone posts."""

    @property
    def is_full(self) -> bool:
        """Whether generating should wait until something is taken."""

    def post(self, request: Request, event: Event) -> None:
        """Add an event."""


class ThreadMailbox:
    """Events of one or more requests, for a thread that waits for them.

    Parameters
    ----------
    n_ahead : pieces it holds before it is full; 0 takes no pieces.
    """

    def __init__(self, n_ahead: int = 0) -> None:
        self._events: SimpleQueue[tuple[Request, Event]] = SimpleQueue()
        self._n_ahead = n_ahead

    @property
    def is_full(self) -> bool:
        """Whether generating should wait until something is taken."""
        return 0 < self._n_ahead <= self._events.qsize()

    @property
    def made_room(self) -> bool:
        """Whether it may have been full before the last event was taken."""
        return 0 < self._n_ahead <= self._events.qsize() + 1

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to take."""
        return self._events.empty()

    def post(self, request: Request, event: Event) -> None:
        """Add an event."""
        if self._n_ahead or not isinstance(event, Piece):
            self._events.put((request, event))

    def take(self) -> tuple[Request, Event] | None:
        """Wait a moment for an event; None if there is none yet."""
        try:
            return self._events.get(timeout=_POLL_SECONDS)
        except Empty:
            return None


class AsyncMailbox:
    """The same for coroutines of the event loop that is running.

    Parameters
    ----------
    n_ahead : pieces it holds before it is full; 0 takes no pieces.
    """

    def __init__(self, n_ahead: int = 0) -> None:
        self._events: asyncio.Queue[tuple[Request, Event]] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._n_ahead = n_ahead
        # Each is written by one thread only, so that neither needs a lock.
        self._n_posted = 0
        self._n_taken = 0

    @property
    def is_full(self) -> bool:
        """Whether generating should wait until something is taken."""
        return 0 < self._n_ahead <= self._n_posted - self._n_taken

    @property
    def made_room(self) -> bool:
        """Whether it may have been full before the last event was taken."""
        return 0 < self._n_ahead <= self._n_posted - self._n_taken + 1

    def post(self, request: Request, event: Event) -> None:
        """Add an event, from any thread."""
        if not self._n_ahead and isinstance(event, Piece):
            return
        self._n_posted += 1
        try:
            self._loop.call_soon_threadsafe(self._events.put_nowait, (request, event))
        except RuntimeError:  # the event loop is closed: nobody will ever take it
            request.withdraw()

    async def take(self) -> tuple[Request, Event]:
        """Wait for an event."""
        event = await self._events.get()
        self._n_taken += 1
        return event
