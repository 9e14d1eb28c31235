"""Waiting for whole results: of requests that run together, in a thread or a task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from llamacy.generation.events import Done
from llamacy.generation.mailbox import (
    AsyncMailbox,
    Mailbox,
    Posted,
    Sender,
    ThreadMailbox,
)
from llamacy.generation.request import AnyRequest, Request
from llamacy.generation.tally import OnProgress, Tally
from llamacy.generation.worker import Worker

if TYPE_CHECKING:
    import asyncio

OnEnd = Callable[[AnyRequest], object]
"""Called with each request that has ended; raises the error that is to end them all."""

SenderT = TypeVar("SenderT", bound=Sender)


def gather(
    worker: Worker,
    requests: Sequence[AnyRequest],
    progress: OnProgress | None = None,
    on_end: OnEnd = Request.raise_error,
    n_in_flight: int | None = None,
) -> None:
    """Run `requests` to their ends, at most `n_in_flight` at a time.

    That is `Worker.n_in_flight` unless it is given. So other calls, which wait in the
    same queue, have their turn beside a long one. An error of `on_end`, which is the
    first error of a request unless it is given, an error of `progress`, or Ctrl-C ends
    them all; it is raised once their memory was given back.
    """
    try:
        tally = Tally(progress, len(requests))
        mailbox: ThreadMailbox[AnyRequest] = ThreadMailbox(tally.n_ahead)
        window = _Window(worker, requests, mailbox, tally, on_end, n_in_flight)
        while window.n_left:
            if (posted := mailbox.take()) is not None:
                window.note(posted)
        tally.finish()
    except BaseException:
        withdraw_and_wait(worker, requests)
        raise


async def gather_async(
    worker: Worker,
    requests: Sequence[AnyRequest],
    progress: OnProgress | None = None,
    on_end: OnEnd = Request.raise_error,
    n_in_flight: int | None = None,
) -> None:
    """Run `requests` to their ends; cancelling the task withdraws them."""
    try:
        tally = Tally(progress, len(requests))
        mailbox: AsyncMailbox[AnyRequest] = AsyncMailbox(tally.n_ahead)
        window = _Window(worker, requests, mailbox, tally, on_end, n_in_flight)
        while window.n_left:
            window.note(await mailbox.take())
        tally.finish()
    except BaseException:
        withdraw(worker, requests)
        raise


class _Window:
    """Keeps `n_in_flight` of some requests submitted, until all have ended.

    Attributes
    ----------
    n_left : int
        Requests that have not ended.
    """

    def __init__(
        self,
        worker: Worker,
        requests: Sequence[AnyRequest],
        mailbox: Mailbox[AnyRequest],
        tally: Tally,
        on_end: OnEnd,
        n_in_flight: int | None,
    ) -> None:
        self.n_left = len(requests)
        self._worker = worker
        self._mailbox = mailbox
        self._tally = tally
        self._on_end = on_end
        self._waiting = iter(requests)
        n_first = n_in_flight or worker.n_in_flight
        worker.submit(islice(self._waiting, n_first), mailbox)

    def note(self, posted: Posted[AnyRequest]) -> None:
        """Note an event; submit the next request in the place of one that has ended."""
        if isinstance(posted.event, Done):
            self.n_left -= 1
            self._on_end(posted.sender)
            if (fresh := next(self._waiting, None)) is not None:
                self._worker.submit([fresh], self._mailbox, is_accepted=True)
        self._tally.note(*posted)


async def made_in_thread(make: Callable[[], list[SenderT]]) -> list[SenderT]:
    """Call `make`, which may take long over a prompt, on another thread."""
    import asyncio  # late, as in llamacy.generation.mailbox

    task = asyncio.ensure_future(asyncio.to_thread(make))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_withdraw_made)
        raise


def _withdraw_made(task: asyncio.Future[list[SenderT]]) -> None:
    if not task.cancelled() and task.exception() is None:
        for made in task.result():
            made.withdraw()


def withdraw(worker: Worker, requests: Iterable[AnyRequest]) -> None:
    """End requests after the current pass."""
    for request in requests:
        request.withdraw()
    worker.wake()


def withdraw_and_wait(worker: Worker, requests: Sequence[AnyRequest]) -> None:
    """End requests, and return once their memory was given back."""
    withdraw(worker, requests)
    for request in requests:
        worker.wait(request)
        request.error = None  # as `Request.raise_error` does
