"""Running many requests, a few at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from itertools import islice
from typing import TypeVar

from llamacy.generation.events import Done
from llamacy.generation.gather import withdraw_and_wait
from llamacy.generation.mailbox import ThreadMailbox
from llamacy.generation.request import AnyRequest
from llamacy.generation.worker import Worker

RequestT = TypeVar("RequestT", bound=AnyRequest)


def run_in_turn(
    worker: Worker,
    requests: Iterable[RequestT],
    n_together: int,
    on_event: Callable[[], object],
) -> Generator[RequestT, None, None]:
    """Run `requests`, at most `n_together` at once, and yield them in their order.

    The first error of a request, Ctrl-C, or leaving the loop early ends all that run.

    Parameters
    ----------
    worker : Worker
        Runs them.
    requests : iterable of Request
        Each is made when there is a place for it.
    n_together : int
        Most requests that run at once.
    on_event : callable
        Called whenever one has made progress.

    Yields
    ------
    Request
        Settled, without error.
    """
    mailbox: ThreadMailbox[AnyRequest] = ThreadMailbox()
    remaining = iter(requests)
    unyielded: deque[RequestT] = deque()
    settled: set[AnyRequest] = set()  # those of `unyielded`
    is_accepted = False
    try:
        while True:
            n_running = len(unyielded) - len(settled)
            if fresh := list(islice(remaining, n_together - n_running)):
                unyielded += fresh
                worker.submit(fresh, mailbox, is_accepted=is_accepted)
                is_accepted = True
            while unyielded and unyielded[0] in settled:
                settled.remove(unyielded[0])
                yield unyielded.popleft()
            if not unyielded:
                return
            if (posted := mailbox.take()) is not None:
                if isinstance(posted.event, Done):
                    posted.sender.raise_error()
                    settled.add(posted.sender)
                on_event()
    except BaseException:
        withdraw_and_wait(worker, unyielded)
        raise
