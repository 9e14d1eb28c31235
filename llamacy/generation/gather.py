"""Waiting for whole results: of requests that run together, in a thread or a task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from llamacy.arguments import check_callback
from llamacy.generation.events import Done, Event
from llamacy.generation.mailbox import AsyncMailbox, ThreadMailbox
from llamacy.generation.request import AnyRequest
from llamacy.generation.worker import Worker

OnProgress = Callable[[float], object]
"""Called with the share of the prompts that has been read, 0.0 to 1.0."""

RequestT = TypeVar("RequestT", bound=AnyRequest)


def gather(
    worker: Worker,
    requests: Sequence[AnyRequest],
    progress: OnProgress | None = None,
) -> None:
    """Run `requests` to their ends.

    The first error of a request, an error of `progress`, or Ctrl-C ends them all; it is
    raised once their memory was given back.
    """
    mailbox: ThreadMailbox[AnyRequest] = ThreadMailbox()
    try:
        tally = _Tally(requests, progress)
        worker.submit(requests, mailbox)
        while tally.n_running:
            if (posted := mailbox.take()) is not None:
                tally.count(*posted)
    except BaseException:
        withdraw_and_wait(worker, requests)
        raise


async def gather_async(
    worker: Worker,
    requests: Sequence[AnyRequest],
    progress: OnProgress | None = None,
) -> None:
    """Run `requests` to their ends; cancelling the task withdraws them."""
    mailbox: AsyncMailbox[AnyRequest] = AsyncMailbox()
    try:
        tally = _Tally(requests, progress)
        worker.submit(requests, mailbox)
        while tally.n_running:
            tally.count(*await mailbox.take())
    except BaseException:
        withdraw(worker, requests)
        raise


async def made_in_thread(make: Callable[[], list[RequestT]]) -> list[RequestT]:
    """Call `make`, which may take long over a prompt, on another thread."""
    task = asyncio.ensure_future(asyncio.to_thread(make))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_withdraw_made)
        raise


def _withdraw_made(task: asyncio.Future[list[RequestT]]) -> None:
    if not task.cancelled() and task.exception() is None:
        for request in task.result():
            request.withdraw()


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


class _Tally:
    """Counts the requests that run, and how much of their prompts was read."""

    def __init__(
        self, requests: Sequence[AnyRequest], progress: OnProgress | None
    ) -> None:
        check_callback("progress", progress)
        self.n_running = len(requests)
        self._requests = requests
        self._progress = progress
        self._share = 0.0

    def count(self, request: AnyRequest, event: Event) -> None:
        """Note an event; raise the error that ended a request."""
        if isinstance(event, Done):
            self.n_running -= 1
            request.raise_error()
        elif self._progress is not None:
            n_read = sum(one.n_read for one in self._requests)
            share = n_read / sum(one.context.n_prompt for one in self._requests)
            if share > self._share:
                self._share = share
                self._progress(share)
