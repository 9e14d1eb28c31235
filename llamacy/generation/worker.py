"""The thread on which one model's forward passes run.

Requests of any number of threads meet here and share passes. Only this thread touches
the scheduler, so that neither Ctrl-C nor a collected stream can leave it half changed,
and OpenMP keeps one team of threads for a model.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from llamacy.generation.drafting.proposer import Proposer
from llamacy.generation.executor import Executor
from llamacy.generation.load import Load
from llamacy.generation.loop import Loop
from llamacy.generation.mailbox import Mailbox
from llamacy.generation.prefix_cache import PrefixCache
from llamacy.generation.reading import Reading
from llamacy.generation.request import AnyRequest
from llamacy.generation.scheduler import N_ACTIVE, Scheduler
from llamacy.system.exits import watch_exit

_POLL_SECONDS = 0.0005  # much shorter than a pass of a model worth waiting for


class Worker:
    """Runs requests on a thread, which begins with the first of them.

    The thread ends when the worker is closed or garbage-collected, and at exit.

    Parameters
    ----------
    executor : Executor
        Runs the passes.
    cache_bytes : int
        Most bytes of KV cache and states kept of texts that have ended.
    max_waiting : int, optional
        Most requests that may wait for a place before another call is refused; None
        refuses none.
    proposer : Proposer, optional
        Drafts the texts.
    max_active : int, default 16
        Most requests that run together.
    """

    def __init__(
        self,
        executor: Executor,
        cache_bytes: int,
        max_waiting: int | None = None,
        proposer: Proposer[Any] | None = None,
        max_active: int = N_ACTIVE,
    ) -> None:
        self._executor = executor
        cache = PrefixCache(cache_bytes)
        scheduler = Scheduler(executor, cache, proposer, max_active)
        self._loop = Loop(scheduler, max_waiting)
        # The loop does not know its worker: its thread must not keep it alive.
        self._finalizer = weakref.finalize(self, self._loop.close)
        watch_exit()  # after `finalize`, whose function at exit is to come later

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
    def max_active(self) -> int:
        """Most requests that run together."""
        return self._loop.max_active

    @property
    def is_up(self) -> bool:
        """Whether requests are taken, and the thread runs if it has begun."""
        return self._loop.is_up

    @property
    def n_in_flight(self) -> int:
        """Requests that a call with any number of them keeps submitted.

        As many as have places, and as many again, so that no place is empty while the
        caller looks at a result. Where the queue is bounded it is left to other calls.
        """
        return self._loop.n_in_flight

    def check_room(self) -> None:
        """Check that one more request would be taken now.

        `submit` checks that, too; before it, a prompt need not be tokenized.

        Raises
        ------
        BusyError
            As many requests as may wait do so already.
        """
        self._loop.check_room()

    @property
    def n_capacity(self) -> int | None:
        """Most requests that run and wait at once; None if there is no bound."""
        return self._loop.n_capacity

    @property
    def reading(self) -> Reading:
        """The adapters that texts are read with."""
        return self._loop.reading

    def switch(self, reading: Reading, change: Callable[[], None]) -> None:
        """Read texts with other adapters, which `change` makes the executor do.

        Raises
        ------
        ClosedError
            The worker is closed.
        BusyError
            Texts are being generated, or wait to be.
        """
        self._loop.switch(reading, change)

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
        self.wake()
        while self._loop.has(request):
            time.sleep(_POLL_SECONDS)

    def close(self) -> None:
        """End all requests with ClosedError, and the thread."""
        self._finalizer()
