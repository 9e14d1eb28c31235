"""Results of any number of prompts, one by one as their texts end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Generic, NoReturn, Self, TypeVar

from llamacy.errors import BusyError, NotPicklableError
from llamacy.generation.cancelling import CancelToken
from llamacy.generation.events import Done
from llamacy.generation.gather import withdraw, withdraw_and_wait
from llamacy.generation.jobs import Job, Jobs
from llamacy.generation.mailbox import ThreadMailbox
from llamacy.generation.request import AnyRequest
from llamacy.generation.tally import OnProgress, Tally
from llamacy.generation.worker import Worker
from llamacy.results import Finished

ResultT_co = TypeVar("ResultT_co", covariant=True)


class Each(Iterator[Finished[ResultT_co]], Generic[ResultT_co]):
    """Results of any number of prompts, one by one as their texts end.

    Prompts are taken from their iterable, by the thread that asks for a result, only
    while few of them are generated or wait for that: see `Worker.n_in_flight`. They
    begin with the first `next`.

    Closing it, or leaving its `with` block, ends the texts that are being generated and
    frees their memory at once; so does an error, of the iterable too, and Ctrl-C. Only
    one thread at a time may ask for a result; others get a BusyError, and so does an
    iterable of prompts that asks for one.

    Parameters
    ----------
    worker : Worker
        Runs the requests.
    jobs : Jobs
        Makes them.
    cancel : CancelToken or None
        Once it is set, no more prompts are taken.
    progress : callable or None
        See `Tally`.

    Raises
    ------
    ArgumentError
        `progress` cannot be called.
    LlamacyError
        An invalid option, found by `Jobs.prepare`.
    """

    def __init__(
        self,
        worker: Worker,
        jobs: Jobs[ResultT_co],
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
    ) -> None:
        self._worker = worker
        self._jobs = jobs
        self._cancel = cancel
        self._tally = Tally(progress, jobs.given.n)
        self._mailbox: ThreadMailbox[AnyRequest] = ThreadMailbox(self._tally.n_ahead)
        jobs.prepare()
        self._prompts = enumerate(jobs.given.items)
        self._turn = threading.Lock()  # never waited for, so that forks need not care
        self._takes_more = True
        self._is_accepted = False
        self._is_closed = False
        self._in_flight: dict[AnyRequest, None] = {}  # a set in order

    def __reduce__(self) -> NoReturn:
        raise NotPicklableError(
            "results that are still being generated cannot be pickled or "
            "copied: take them, and send those"
        )

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Finished[ResultT_co]:
        if not self._turn.acquire(blocking=False):
            raise BusyError(
                "this iterator is already asked for a result, "
                "by another thread or by its own prompts"
            )
        try:
            while not self._is_closed:
                job = self._begin_one() or self._end_one()
                if job is not None:
                    return Finished(job.index, self._jobs.result(job))  # type: ignore[arg-type]
                if not (self._takes_more or self._in_flight):
                    self._is_closed = True
                    self._tally.finish()
        except BaseException:
            self.close()
            raise
        finally:
            self._turn.release()
        raise StopIteration

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        # Does not wait: the collector may run on the worker's own thread.
        if in_flight := getattr(self, "_in_flight", None):
            withdraw(self._worker, in_flight)

    def close(self) -> None:
        """End the texts that are being generated; there are no more results.

        Any thread may call it.
        """
        self._is_closed = True
        withdraw_and_wait(self._worker, list(self._in_flight))
        self._in_flight.clear()

    def _begin_one(self) -> Job[ResultT_co] | None:
        """Take a prompt, if one more may run; return its job if it was refused."""
        if not self._has_room:
            return None
        try:
            index, prompt = next(self._prompts)
        except StopIteration:
            self._takes_more = False
            return None
        job = self._jobs.begin(index, prompt)
        if not job.requests:
            self._tally.skip()
            return job
        self._in_flight.update(dict.fromkeys(job.requests))
        self._worker.submit(job.requests, self._mailbox, is_accepted=self._is_accepted)
        self._is_accepted = True
        if self._is_closed:  # meanwhile, by another thread
            self.close()
        return None

    @property
    def _has_room(self) -> bool:
        """Whether to take another prompt."""
        if self._cancel is not None and self._cancel.is_set():
            self._takes_more = False
        return self._takes_more and len(self._in_flight) < self._worker.n_in_flight

    def _end_one(self) -> Job[ResultT_co] | None:
        """Note events up to one that ends a job, and return the job.

        Waits for an event only if no more prompts may run.
        """
        while self._in_flight and not (self._mailbox.is_empty and self._has_room):
            if (posted := self._mailbox.take()) is None:
                return None
            job = None
            if isinstance(posted.event, Done):
                self._in_flight.pop(posted.sender, None)
                if self._is_closed:
                    return None
                job = self._jobs.end(posted.sender)
            self._tally.note(*posted)
            if job is not None and not job.n_running:
                return job
        return None
