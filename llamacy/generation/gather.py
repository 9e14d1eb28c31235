"""Waiting for whole results: of requests that run together, in a thread or a task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from llamacy.generation.events import Done
from llamacy.generation.mailbox import AsyncMailbox, Sender, ThreadMailbox
from llamacy.generation.request import AnyRequest, Request
from llamacy.generation.tally import OnProgress, Tally
from llamacy.generation.worker import Worker

OnEnd = Callable[[AnyRequest], object]
"""Called with each request that has ended; raises the error that is to end them all."""

SenderT = TypeVar("SenderT", bound=Sender)


def gather(
    worker: Worker,
    requests: Sequence[AnyRequest],
    progress: OnProgress | None = None,
    on_end: OnEnd = Request.raise_error,
) -> None:
    """Run `requests` to their ends.

    An error of `on_end`, which is the first error of a request unless it is given, an
    error of `progress`, or Ctrl-C ends them all; it is raised once their memory was
    given back.
    """
    try:
        tally = Tally(progress, len(requests))
        mailbox: ThreadMailbox[AnyRequest] = ThreadMailbox(tally.n_ahead)
        worker.submit(requests, mailbox)
        n_running = len(requests)
        while n_running:
            if (posted := mailbox.take()) is not None:
                if isinstance(posted.event, Done):
                    n_running -= 1
                    on_end(posted.sender)
                tally.note(*posted)
        tally.finish()
    except BaseException:
        withdraw_and_wait(worker, requests)
        raise


async def gather_async(
    worker: Worker,
    requests: Sequence[AnyRequest],
    progress: OnProgress | None = None,
    on_end: OnEnd = Request.raise_error,
) -> None:
    """Run `requests` to their ends; cancelling the task withdraws them."""
    try:
        tally = Tally(progress, len(requests))
        mailbox: AsyncMailbox[AnyRequest] = AsyncMailbox(tally.n_ahead)
        worker.submit(requests, mailbox)
        n_running = len(requests)
        while n_running:
            posted = await mailbox.take()
            if isinstance(posted.event, Done):
                n_running -= 1
                on_end(posted.sender)
            tally.note(*posted)
        tally.finish()
    except BaseException:
        withdraw(worker, requests)
        raise


async def made_in_thread(make: Callable[[], list[SenderT]]) -> list[SenderT]:
    """Call `make`, which may take long over a prompt, on another thread."""
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
