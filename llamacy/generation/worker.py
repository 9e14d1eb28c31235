"""The thread on which one model's forward passes run.

Requests of any number of threads meet here and share passes. Only this thread touches
the scheduler, so that neither Ctrl-C nor a collected stream can leave it half changed,
and OpenMP keeps one team of threads for a model.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import NamedTuple

from llamacy.errors import BusyError, ClosedError, ForkedError
from llamacy.generation.executor import Executor
from llamacy.generation.load import Load
from llamacy.generation.mailbox import Mailbox
from llamacy.generation.prefix_cache import PrefixCache
from llamacy.generation.request import AnyRequest
from llamacy.generation.scheduler import Scheduler
from llamacy.system.forks import Rank, fork_lock

_POLL_SECONDS = 0.0005  # much shorter than a pass of a model worth waiting for

_logger = logging.getLogger("llamacy")


class Worker:
    """Runs requests on a thread, which begins with the first of them.

    The thread ends when the worker is closed or garbage-collected, and at exit.

    Parameters
    ----------
    executor : Executor
        Runs the passes.
    n_cache_pages : int
        Most KV pages kept of texts that have ended.
    max_waiting : int, optional
        Most requests that may wait for a place before another call is refused; None
        refuses none.
    """

    def __init__(
        self, executor: Executor, n_cache_pages: int, max_waiting: int | None = None
    ) -> None:
        self._executor = executor
        scheduler = Scheduler(executor, PrefixCache(n_cache_pages))
        self._loop = _Loop(scheduler, max_waiting)
        # The loop does not know its worker: its thread must not keep it alive.
        self._finalizer = weakref.finalize(self, self._loop.close)

    def submit(
        self,
        requests: Iterable[AnyRequest],
        mailbox: Mailbox[AnyRequest],
        *,
        is_accepted: bool = False,
    ) -> None:
        """Run `requests`, whose events go to `mailbox`; all of them, or none.

        Parameters
        ----------
        requests : iterable of Request
            All requests of a call, or the next ones of a long call.
        mailbox : Mailbox
            Where the caller waits.
        is_accepted : bool, default False
            Whether earlier requests of the same call were accepted: then the bound of
            the queue does not hold for these.

        Raises
        ------
        ClosedError
            The worker is closed.
        BusyError
            As many requests as may wait do so already; or a logits processor called.
        """
        self._loop.add(list(requests), mailbox, is_accepted)

    def load(self) -> Load:
        """Return how many requests are active and wait, and the pages in use."""
        n_active, n_waiting = self._loop.count()
        executor = self._executor
        return Load(n_active, n_waiting, executor.n_pages_used, executor.n_pages_free)

    @property
    def n_in_flight(self) -> int:
        """Requests that a call with any number of them keeps submitted.

        As many as have places, and as many again, so that no place is empty while the
        caller looks at a result. Where the queue is bounded it is left to other calls.
        """
        return self._loop.n_in_flight

    @property
    def adapters(self) -> str:
        """Fingerprint of the adapters that texts are read with."""
        return self._loop.adapters

    def switch(self, adapters: str, change: Callable[[], None]) -> None:
        """Read texts with other adapters, which `change` makes the executor do.

        Raises
        ------
        ClosedError
            The worker is closed.
        BusyError
            Texts are being generated, or wait to be.
        """
        self._loop.switch(adapters, change)

    def wake(self) -> None:
        """Look again: something was taken from a mailbox, or a request withdrawn."""
        self._loop.wake()

    def wait(self, request: AnyRequest) -> None:
        """Wait until `request`, which was withdrawn, is settled: a pass at most.

        Raises
        ------
        BusyError
            Called by a logits processor, which the pass waits for.
        """
        self._loop.check_thread()
        while request.is_running:
            time.sleep(_POLL_SECONDS)

    def close(self) -> None:
        """End all requests with ClosedError, and the thread."""
        self._finalizer()


class _Census(NamedTuple):
    """Requests as the loop's thread counted them last: replaced, never changed."""

    n_collected: int  # in all, from the inbox
    n_unfinished: int  # of those


class _Loop:
    """Runs on the thread: steps while there is work, then waits for more."""

    def __init__(self, scheduler: Scheduler, max_waiting: int | None) -> None:
        self._scheduler = scheduler
        self._max_waiting = max_waiting
        self._n_added = 0
        self._n_collected = 0
        self._census = _Census(0, 0)
        self._thread: threading.Thread | None = None
        self._is_closing = False
        # Its `put` may interrupt itself, as when the collector finalises a stream.
        self._inbox: SimpleQueue[list[AnyRequest]] = SimpleQueue()
        self._starting = fork_lock(Rank.MODEL)
        # A step needs the turn to begin. The thread takes one step after the other,
        # and would leave no gap for a fork, which takes the turn meanwhile.
        self._turn = fork_lock(Rank.TURN)
        self._step = fork_lock(Rank.STEP)
        _loops.add(self)

    def check_thread(self) -> None:
        if threading.current_thread() is self._thread:
            raise BusyError("a logits processor cannot use the model that waits for it")

    def add(
        self,
        requests: list[AnyRequest],
        mailbox: Mailbox[AnyRequest],
        is_accepted: bool,
    ) -> None:
        self.check_thread()
        with self._starting:
            if self._is_closing:
                raise ClosedError("the model is closed")
            if not is_accepted:
                self._check_queue()
            try:
                for request in requests:
                    request.submit(mailbox)
            finally:  # after a Ctrl-C, callers wait for the requests submitted so far
                self._run_submitted([one for one in requests if one.is_running])

    def _run_submitted(self, requests: list[AnyRequest]) -> None:
        self._n_added += len(requests)
        self._inbox.put(requests)
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name="llamacy", daemon=True
            )
            self._thread.start()

    def count(self) -> tuple[int, int]:
        """Count the requests that have a place, and those that wait for one."""
        n_unfinished = self._count_unfinished()
        n_active = min(n_unfinished, self._scheduler.max_active)
        return n_active, n_unfinished - n_active

    @property
    def n_in_flight(self) -> int:
        n_active = self._scheduler.max_active
        return 2 * n_active if self._max_waiting is None else n_active

    def _count_unfinished(self) -> int:
        census = self._census  # before `_n_added`, which does not lag behind it
        return census.n_unfinished + self._n_added - census.n_collected

    def _check_queue(self) -> None:
        if self._max_waiting is None:
            return
        n_waiting = self._count_unfinished() - self._scheduler.max_active
        if n_waiting >= self._max_waiting:
            raise BusyError(
                f"the model is busy: wanted at most {self._max_waiting} requests "
                f"waiting, found {n_waiting}, and this call would wait too"
            )

    @property
    def adapters(self) -> str:
        return self._scheduler.adapters

    def switch(self, adapters: str, change: Callable[[], None]) -> None:
        self.check_thread()
        with self._starting, self._turn, self._step:
            if self._is_closing:
                raise ClosedError("the model is closed")
            self._collect(self._inbox, wait=False)
            self.wake()  # the thread may wait for the request that was collected here
            if not self._scheduler.is_idle:
                raise BusyError("adapters cannot change while texts are generated")
            self._scheduler.switch(adapters, change)

    def wake(self) -> None:
        self._inbox.put([])

    def close(self) -> None:
        with self._starting:
            self._is_closing = True
            thread = self._thread
        self.wake()
        if thread is None:
            self._abandon(ClosedError("the model is closed"))
        # A thread cannot wait for itself, as where a logits processor closes a model.
        elif thread is not threading.current_thread():
            thread.join()

    def forget_thread(self) -> None:
        """Begin anew in a forked child, which has no such thread."""
        inbox, self._inbox = self._inbox, SimpleQueue()
        self._thread = None
        self._collect(inbox, wait=False)
        self._abandon(
            ForkedError("the process was forked: this text goes on in the parent alone")
        )

    def _run(self) -> None:
        while not self._is_closing:
            self._collect(self._inbox, wait=not self._scheduler.has_work)
            with self._turn:
                self._step.acquire()
            try:
                # A caller whose request has ended may submit the next one at once.
                self._scheduler.step(before_settling=self._take_census)
            except BaseException as error:
                _logger.exception("generation failed")
                self._abandon(error)
            finally:
                self._step.release()
        self._collect(self._inbox, wait=False)
        self._abandon(ClosedError("the model was closed"))

    def _collect(self, inbox: SimpleQueue[list[AnyRequest]], wait: bool) -> None:
        """Take what was added; if `wait`, until there is something or a wake."""
        try:
            while True:
                requests = inbox.get(block=wait)
                self._n_collected += len(requests)
                self._scheduler.add(requests)
                wait = False
        except Empty:
            pass

    def _abandon(self, error: BaseException) -> None:
        with self._step:
            self._scheduler.abandon(error, before_settling=self._take_census)

    def _take_census(self) -> None:
        self._census = _Census(self._n_collected, self._scheduler.n_unfinished)


_loops: weakref.WeakSet[_Loop] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for loop in list(_loops):
        loop.forget_thread()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
