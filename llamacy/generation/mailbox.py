"""Where a thread or a task finds the events of its requests.

A mailbox knows of a sender only that it can be withdrawn, so that requests can know
mailboxes.
"""

from __future__ import annotations

import sys
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

from llamacy.generation.events import Event
from llamacy.results import Piece

if TYPE_CHECKING:
    import asyncio

RUN_AHEAD = 8
"""Events that a stream's request may post before its reader takes the first of them."""

UNBOUNDED = sys.maxsize
"""Events ahead of a reader that takes all of them, and that nobody waits for."""

_POLL_SECONDS = 0.1  # Windows tells a waiting thread of Ctrl-C only between waits


class Sender(Protocol):
    """The method that a mailbox needs of a request."""

    def withdraw(self) -> None:
        """Note that nobody will ever take the events."""


SenderT = TypeVar("SenderT", bound=Sender)
SenderT_contra = TypeVar("SenderT_contra", bound=Sender, contravariant=True)


class Posted(NamedTuple, Generic[SenderT]):
    """An event, and the request that it is of."""

    sender: SenderT
    event: Event


class Mailbox(Protocol[SenderT_contra]):
    """The methods that a request needs of a mailbox; only the worker's thread posts."""

    @property
    def is_full(self) -> bool:
        """Whether generating should wait until something is taken."""

    def post(self, sender: SenderT_contra, event: Event) -> None:
        """Add an event."""


class ThreadMailbox(Generic[SenderT]):
    """Events of one or more requests, for a thread that waits for them.

    Parameters
    ----------
    n_ahead : int, default 0
        Events it holds before it is full; 0 drops pieces, and is never full.
    """

    def __init__(self, n_ahead: int = 0) -> None:
        self._events: SimpleQueue[Posted[SenderT]] = SimpleQueue()
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

    def post(self, sender: SenderT, event: Event) -> None:
        """Add an event."""
        if self._n_ahead or not isinstance(event, Piece):
            self._events.put(Posted(sender, event))

    def take(self) -> Posted[SenderT] | None:
        """Wait a moment for an event; return None if there is none yet."""
        try:
            return self._events.get(timeout=_POLL_SECONDS)
        except Empty:
            return None


class AsyncMailbox(Generic[SenderT]):
    """Events of one or more requests, for tasks of the event loop that is running.

    Parameters
    ----------
    n_ahead : int, default 0
        Events it holds before it is full; 0 drops pieces, and is never full.
    """

    def __init__(self, n_ahead: int = 0) -> None:
        import asyncio  # late: it takes longer than a first token

        self._events: asyncio.Queue[Posted[SenderT]] = asyncio.Queue()
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

    def post(self, sender: SenderT, event: Event) -> None:
        """Add an event, from any thread."""
        if not self._n_ahead and isinstance(event, Piece):
            return
        self._n_posted += 1
        posted = Posted(sender, event)
        try:
            self._loop.call_soon_threadsafe(self._events.put_nowait, posted)
        except RuntimeError:  # the event loop is closed: nobody will ever take it
            sender.withdraw()

    async def take(self) -> Posted[SenderT]:
        """Wait for an event."""
        posted = await self._events.get()
        self._n_taken += 1
        return posted
