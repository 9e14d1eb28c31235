"""The loop of a worker's thread: it takes requests, and runs one pass after another."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import NamedTuple

from llamacy.errors import BusyError, ClosedError, ForkedError
from llamacy.generation.mailbox import Mailbox
from llamacy.generation.reading import Reading
from llamacy.generation.request import AnyRequest
from llamacy.generation.scheduler import Scheduler
from llamacy.system.exits import hold_daemon
from llamacy.system.forks import Rank, fork_lock

_logger = logging.getLogger("llamacy")


class _Ticket(NamedTuple):
    """How a request was added."""

    mailbox: Mailbox[AnyRequest]
    since: float  # in seconds of `perf_counter`


class _Census(NamedTuple):
    """Requests as the loop's thread counted them last: replaced, never changed."""

    n_collected: int  # in all, of those added
    n_unfinished: int  # of those


class Loop:
    """Runs on the thread: steps while there is work, then waits for more.

    Parameters
    ----------
    scheduler : Scheduler
        Runs the passes.
    max_waiting : int or None
        Most requests that may wait for a place before another call is refused.
    """

    def __init__(self, scheduler: Scheduler, max_waiting: int | None) -> None:
        self._scheduler = scheduler
        self._max_waiting = max_waiting
        # Ctrl-C may end a caller between any two steps, so requests become the thread's
        # in one that it cannot divide.
        self._added: dict[AnyRequest, _Ticket] = {}
        self._n_collected = 0
        self._census = _Census(0, 0)
        self._thread: threading.Thread | None = None
        self._is_closing = False
        # Its `put` may interrupt itself, as when the collector finalises a stream.
        self._wakes: SimpleQueue[None] = SimpleQueue()
        self._starting = fork_lock(Rank.MODEL)
        # A step needs the turn to begin. The thread takes one step after the other,
        # and would leave no gap for a fork, which takes the turn meanwhile.
        self._turn = fork_lock(Rank.TURN)
        self._step = fork_lock(Rank.STEP)
        _loops.add(self)

    def check_thread(self) -> None:
        """Check that the caller is not the thread, which would wait for itself."""
        if threading.current_thread() is self._thread:
            raise BusyError("a logits processor cannot use the model that waits for it")

    def add(
        self,
        requests: list[AnyRequest],
        mailbox: Mailbox[AnyRequest],
        is_accepted: bool,
    ) -> None:
        """Run requests: see `Worker.submit`."""
        self.check_thread()
        with self._starting:
            is_closing = self._is_closing
            if not is_closing:
                self._take(requests, _Ticket(mailbox, time.perf_counter()), is_accepted)
        if is_closing:
            hold_daemon()  # without the lock
            raise ClosedError("the model is closed")
        self.wake()

    def _take(
        self, requests: list[AnyRequest], ticket: _Ticket, is_accepted: bool
    ) -> None:
        if not is_accepted:
            self._check_queue()
        if self._thread is None:
            threading.Thread(target=self._run, name="llamacy", daemon=True).start()
        self._added.update(dict.fromkeys(requests, ticket))

    def has(self, request: AnyRequest) -> bool:
        """Whether `request` was added and is not settled."""
        # In this order: it is running before it is taken from those added.
        return request in self._added or request.is_running

    @property
    def is_up(self) -> bool:
        """Whether requests are taken, and the thread runs if it has begun."""
        thread = self._thread
        return not self._is_closing and (thread is None or thread.is_alive())

    def count(self) -> tuple[int, int]:
        """Count the requests that have a place, and those that wait for one."""
        n_unfinished = self._count_unfinished()
        n_active = min(n_unfinished, self.max_active)
        return n_active, n_unfinished - n_active

    @property
    def max_active(self) -> int:
        """Most requests that run together."""
        return self._scheduler.max_active

    @property
    def n_in_flight(self) -> int:
        """Requests that a long call keeps submitted: see `Worker.n_in_flight`."""
        n_active = self.max_active
        return 2 * n_active if self._max_waiting is None else n_active

    def check_room(self) -> None:
        """Check that a request could be added: see `Worker.check_room`."""
        with self._starting:
            self._check_queue()

    @property
    def n_capacity(self) -> int | None:
        """Most requests that run and wait: see `Worker.n_capacity`."""
        if self._max_waiting is None:
            return None
        return self.max_active + self._max_waiting

    def _count_unfinished(self) -> int:
        # In this order no request is left out, whatever the thread does meanwhile; but
        # for a moment one may count twice, unless `_starting` is held.
        census, n_added = self._census, len(self._added)
        return census.n_unfinished + n_added + self._n_collected - census.n_collected

    def _check_queue(self) -> None:
        if self._max_waiting is None:
            return
        n_waiting = self._count_unfinished() - self.max_active
        if n_waiting >= self._max_waiting:
            raise BusyError(
                f"the model is busy: wanted at most {self._max_waiting} requests "
                f"waiting, found {n_waiting}, and this call would wait too"
            )

    @property
    def reading(self) -> Reading:
        """The adapters that texts are read with."""
        return self._scheduler.reading

    def switch(self, reading: Reading, change: Callable[[], None]) -> None:
        """Read texts with other adapters: see `Worker.switch`."""
        self.check_thread()
        with self._starting, self._turn, self._step:
            if self._is_closing:
                raise ClosedError("the model is closed")
            if self._added or not self._scheduler.is_idle:
                raise BusyError("adapters cannot change while texts are generated")
            self._scheduler.switch(reading, change)

    def wake(self) -> None:
        """Look again for work: see `Worker.wake`."""
        self._wakes.put(None)

    def close(self) -> None:
        """End all requests with ClosedError, and the thread."""
        with self._starting:
            self._is_closing = True
            thread = self._thread
        self.wake()
        if thread is None:
            self._collect()
            self._abandon(ClosedError("the model is closed"))
        # A thread cannot wait for itself, as where a logits processor closes a model.
        elif thread is not threading.current_thread():
            thread.join()

    def forget_thread(self) -> None:
        """Begin anew in a forked child, which has no such thread."""
        self._wakes = SimpleQueue()
        self._thread = None
        self._collect()
        self._abandon(
            ForkedError("the process was forked: this text goes on in the parent alone")
        )

    def _run(self) -> None:
        if not self._is_first():
            return
        while not self._is_closing:
            self._sleep(until_woken=not self._scheduler.has_work)
            self._collect()
            with self._turn:
                self._step.acquire()
            try:
                # A caller whose request has ended may submit the next one at once.
                self._scheduler.step(self._take_census, self._is_woken)
            except BaseException as error:
                _logger.exception("generation failed")
                self._abandon(error)
            finally:
                self._step.release()
        self._collect()
        self._abandon(ClosedError("the model was closed"))

    def _is_first(self) -> bool:
        """Whether this is the thread; a start that Ctrl-C ended may make another."""
        with self._starting:
            if self._thread is not None or self._is_closing:
                return False
            self._thread = threading.current_thread()
            return True

    def _sleep(self, *, until_woken: bool) -> None:
        """Take all wakes; if `until_woken`, wait for the first."""
        if until_woken:
            self._wakes.get()
        while not self._wakes.empty():  # nobody else takes any
            self._wakes.get()

    def _is_woken(self) -> bool:
        return not self._wakes.empty()

    def _collect(self) -> None:
        """Take the requests that were added."""
        if not self._added:  # those who add some wake the thread then
            return
        with self._starting:
            for request, ticket in self._added.items():
                request.submit(ticket.mailbox, ticket.since)
            self._scheduler.add(self._added)
            self._n_collected += len(self._added)
            self._added.clear()

    def _abandon(self, error: BaseException) -> None:
        with self._step:
            self._scheduler.abandon(error, before_settling=self._take_census)

    def _take_census(self) -> None:
        self._census = _Census(self._n_collected, self._scheduler.n_unfinished)


_loops: weakref.WeakSet[Loop] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for loop in list(_loops):
        loop.forget_thread()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
