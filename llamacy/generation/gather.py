"""Waiting for whole results: of requests that run together, in a thread or a task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from llamacy.arguments import check_callback
from llamacy.generation.mailbox import AsyncMailbox, Done, Event, ThreadMailbox
from llamacy.generation.request import Request
from llamacy.generation.worker import Worker

OnProgress = Callable[[float], object]
"""Called with the share of the prompts that has been read, 0.0 to 1.0."""


def gather(
    worker: Worker, requests: Sequence[Request], progress: OnProgress | None = None
) -> None:
    """Run `requests` to their ends.

    The first error of one, or of `progress`, or Ctrl-C, ends them all; it is raised
    when their memory is given back.
    """
    mailbox = ThreadMailbox()
    try:
        tally = _Tally(requests, progress)
        worker.submit(requests, mailbox)
        while tally.n_running:
            if (event := mailbox.take()) is not None:
                tally.count(*event)
    except BaseException:
        withdraw(worker, requests)
        for request in requests:
            worker.wait(request)
            request.error = None  # as raise_error does
        raise


async def gather_async(
    worker: Worker, requests: Sequence[Request], progress: OnProgress | None = None
) -> None:
    """Run `requests` to their ends; cancelling the task withdraws them."""
    mailbox = AsyncMailbox()
    try:
        tally = _Tally(requests, progress)
        worker.submit(requests, mailbox)
        while tally.n_running:
            tally.count(*await mailbox.take())
    except BaseException:
        withdraw(worker, requests)
        raise


async def made_in_thread(make: Callable[[], list[Request]]) -> list[Request]:
    """Call `make`, which may take long over a prompt, on another thread."""
    task = asyncio.ensure_future(asyncio.to_thread(make))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_withdraw_made)
        raise


def _withdraw_made(task: asyncio.Future[list[Request]]) -> None:
    if not task.cancelled() and task.exception() is None:
        for request in task.result():
            request.withdraw()


def withdraw(worker: Worker, requests: Iterable[Request]) -> None:
    """End requests after the pass at hand."""
    for request in requests:
        request.withdraw()
    worker.wake()


class _Tally:
    """Counts how far some requests have come."""

    def __init__(
        self, requests: Sequence[Request], progress: OnProgress | None
    ) -> None:
        check_callback("progress", progress)
        self.n_running = len(requests)
        self._requests = requests
        self._progress = progress
        self._share = 0.0

    def count(self, request: Request, event: Event) -> None:
        """Note an event; raise the error that ended a request."""
        if isinstance(event, Done):
            self.n_running -= 1
            request.raise_error()
        elif self._progress is not None:
            n_read = sum(one.n_read for one in self._requests)
            share = n_read / sum(one.n_prompt for one in self._requests)
            if share > self._share:
                self._share = share
                self._progress(share)
