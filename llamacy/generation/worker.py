"""The thread on which one model's forward passes run.

Texts asked for by any number of threads meet here and share passes. Only this thread
touches the scheduler, so that neither Ctrl-C nor a collected stream can leave it half
changed, and OpenMP keeps one team of threads for a model.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue

from llamacy.errors import BusyError, ClosedError, ForkedError
from llamacy.generation.mailbox import Mailbox
from llamacy.generation.prefix_cache import PrefixCache
from llamacy.generation.request import Request
from llamacy.generation.scheduler import Executor, Scheduler
from llamacy.system.forks import Rank, fork_lock

_POLL_SECONDS = 0.0005  # much shorter than a pass of a model worth waiting for

_logger = logging.getLogger("llamacy")


class Worker:
    """Runs requests on a thread, which begins with the first of them.

    The thread ends when the worker is closed or forgotten, and at exit.

    Parameters
    ----------
    executor : runs the passes.
    n_cache_pages : most KV pages kept of texts that have ended.
    """

    def __init__(self, executor: Executor, n_cache_pages: int) -> None:
        self._loop = _Loop(Scheduler(executor, PrefixCache(n_cache_pages)))
        # The loop does not know its worker: its thread must not keep it alive.
        self._finalizer = weakref.finalize(self, self._loop.close)

    def submit(self, requests: Iterable[Request], mailbox: Mailbox) -> None:
        """Run `requests`, whose events go to `mailbox`.

        Raises
        ------
        ClosedError : the worker is closed.
        BusyError : called by a logits processor.
        """
        self._loop.add(list(requests), mailbox)

    @property
    def adapters(self) -> str:
        """What tells the adapters that texts are read with from others."""
        return self._loop.adapters

    def switch(self, adapters: str, change: Callable[[], None]) -> None:
        """Read texts with other adapters, which `change` makes the executor do.

        Raises
        ------
        ClosedError : the worker is closed.
        BusyError : texts are being generated, or wait to be.
        """
        self._loop.switch(adapters, change)

    def wake(self) -> None:
        """Look again: something was taken from a mailbox, or a request withdrawn."""
        self._loop.wake()

    def wait(self, request: Request) -> None:
        """Wait until `request`, which was withdrawn, is done: a pass at most.

        Raises
        ------
        BusyError : called by a logits processor, which the pass waits for.
        """
        self._loop.check_thread()
        while request.is_running:
            time.sleep(_POLL_SECONDS)

    def close(self) -> None:
        """End what is running with ClosedError, and the thread."""
        self._finalizer()


class _Loop:
    """What the thread runs: steps while there is work, then waits for more."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._thread: threading.Thread | None = None
        self._is_closing = False
        # Its `put` may interrupt itself, as when the collector finalises a stream.
        self._inbox: SimpleQueue[list[Request]] = SimpleQueue()
        self._starting = fork_lock(Rank.MODEL)
        # A step is taken by who has the turn. The thread takes one step after the
        # other, and would leave no gap for a fork, which takes the turn meanwhile.
        self._turn = fork_lock(Rank.TURN)
        self._step = fork_lock(Rank.STEP)
        _loops.add(self)

    def check_thread(self) -> None:
        if threading.current_thread() is self._thread:
            raise BusyError("a logits processor cannot use the model that waits for it")

    def add(self, requests: list[Request], mailbox: Mailbox) -> None:
        self.check_thread()
        with self._starting:
            if self._is_closing:
                raise ClosedError("the model is closed")
            for request in requests:
                request.submit(mailbox)
            self._inbox.put(requests)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="llamacy", daemon=True
                )
                self._thread.start()

    @property
    def adapters(self) -> str:
        return self._scheduler.adapters

    def switch(self, adapters: str, change: Callable[[], None]) -> None:
        self.check_thread()
        with self._starting, self._turn, self._step:
            if self._is_closing:
                raise ClosedError("the model is closed")
            self._collect(self._inbox, wait=False)
            self.wake()  # what the thread waited for may have been taken from it
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
        """Begin anew in a forked child, where the thread is not."""
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
                self._scheduler.step()
            except BaseException as error:
                _logger.exception("generation failed")
                self._abandon(error)
            finally:
                self._step.release()
        self._collect(self._inbox, wait=False)
        self._abandon(ClosedError("the model was closed"))

    def _collect(self, inbox: SimpleQueue[list[Request]], wait: bool) -> None:
        """Take what was added; if `wait`, until there is something or a wake."""
        try:
            while True:
                self._scheduler.add(inbox.get(block=wait))
                wait = False
        except Empty:
            pass

    def _abandon(self, error: BaseException) -> None:
        with self._step:
            self._scheduler.abandon(error)


_loops: weakref.WeakSet[_Loop] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for loop in list(_loops):
        loop.forget_thread()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
