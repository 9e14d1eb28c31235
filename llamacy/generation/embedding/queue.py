"""The requests for embeddings that wait for a pass, and the passes they share.

They need neither a place among the active requests nor a sequence: a pass reads texts
whole and leaves nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import OutOfMemoryError
from llamacy.generation.executor import Executor
from llamacy.generation.goals.embed import Embed
from llamacy.generation.goals.goal import Goal
from llamacy.generation.request import Request
from llamacy.ops.batch import TextBatch

EmbedRequest: TypeAlias = "Request[Embed]"


class EmbeddingQueue:
    """Requests for embeddings, in the order in which they came.

    Parameters
    ----------
    executor : Executor
        Runs the passes.
    free_memory : callable
        Called where memory is short; returns whether it freed any.
    """

    def __init__(self, executor: Executor, free_memory: Callable[[], bool]) -> None:
        self._executor = executor
        self._free_memory = free_memory
        self._waiting: deque[EmbedRequest] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[EmbedRequest]:
        return iter(self._waiting)

    def takes(self, request: Request[Goal]) -> bool:
        """Take a request if it is for embeddings, and return whether it is."""
        if not isinstance(request.goal, Embed):
            return False
        self._waiting.append(request)  # type: ignore[arg-type]
        return True

    def take_all(self) -> list[EmbedRequest]:
        """Return all requests, which are to end without a pass."""
        found = list(self._waiting)
        self._waiting.clear()
        return found

    def take_ended(self) -> list[EmbedRequest]:
        """Return the requests that have ended while they waited."""
        ended = [request for request in self._waiting if request.has_ended]
        for request in ended:
            self._waiting.remove(request)
        return ended

    def run_pass(self) -> list[EmbedRequest]:
        """Run one pass of the first requests, and return them: all have ended.

        Requests share it in their order, as long as they pool alike and the rows of all
        are no more than `n_batch`; one alone may have more.
        """
        requests = self._take_some()
        if not requests:
            return []
        try:
            rows = self._embed(requests)
        except BaseException as error:
            for request in requests:
                request.fail(error)
            return requests
        first = 0
        for request in requests:
            end = first + request.goal.n_results
            request.take(rows[first:end])
            first = end
        return requests

    def _take_some(self) -> list[EmbedRequest]:
        taken: list[EmbedRequest] = []
        n_rows = 0
        while self._waiting:
            goal = self._waiting[0].goal
            n_rows += len(goal.texts.tokens)
            fits = n_rows <= self._executor.n_batch
            if taken and not (fits and goal.pooling == taken[0].goal.pooling):
                break
            taken.append(self._waiting.popleft())
        return taken

    def _embed(self, requests: list[EmbedRequest]) -> NDArray[np.float32]:
        texts = TextBatch.join([request.goal.texts for request in requests])
        pooling = requests[0].goal.pooling
        try:
            return self._executor.embed(texts, pooling)
        except OutOfMemoryError:
            if not self._free_memory():
                raise
            return self._executor.embed(texts, pooling)
