"""Which requests run, and what becomes of their sequences.

A pass grows every text and reads as much of the prompts as there is room for: see
`parts`, and `pacing` for prompts that take many passes. Tokens that prompts have in
common are read once: a sequence is forked from one that already holds the same tokens,
of another request or of the cache, and a prompt waits while another request is reading
what both begin with: see `sharing`. Requests for embeddings have a queue and passes of
their own, in turn with the others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any

from llamacy.generation.drafting.proposer import Proposer
from llamacy.generation.drafting.row_costs import RowCosts
from llamacy.generation.embedding.queue import EmbeddingQueue
from llamacy.generation.executor import Executor
from llamacy.generation.pacing import Pacing
from llamacy.generation.parts import Limits, Part, choose_parts, next_tokens
from llamacy.generation.passes import Passes
from llamacy.generation.prefix_cache import PrefixCache
from llamacy.generation.reading import NO_ADAPTERS, Reading
from llamacy.generation.request import AnyRequest, Leftover
from llamacy.generation.sharing import (
    find_alike,
    longest_shared,
    mark_shared,
    most_shared_soon,
)
from llamacy.generation.stages import Stage
from llamacy.ops.batch import GoOn

N_ACTIVE = 16
"""Most active requests, unless a scheduler is made with another number.

More wait, because each one's KV cache is memory. Parked ones do not count, so that a
slow reader holds nobody up.
"""


MOST_SECONDS = 0.02
"""Time after which no pass follows another without the scheduler.

A fork of the process, say, waits as long for it, and for one more pass.
"""


def _do_nothing() -> None:
    pass


def _always() -> bool:
    return True


class Scheduler:
    """Runs requests together, a pass at a time. Belongs to one thread.

    Parameters
    ----------
    executor : Executor
        Runs the passes.
    cache : PrefixCache
        Keeps the sequences of texts that have ended.
    proposer : Proposer, optional
        Drafts the texts.
    max_active : int, default 16
        Most active requests, if no more than rows of a pass.

    Attributes
    ----------
    reading : Reading
        The adapters that passes compute with.
    max_active : int
        Most active requests.
    costs : RowCosts
        The costs of passes so far.
    """

    def __init__(
        self,
        executor: Executor,
        cache: PrefixCache,
        proposer: Proposer[Any] | None = None,
        max_active: int = N_ACTIVE,
    ) -> None:
        self.reading = NO_ADAPTERS
        self.max_active = min(max_active, executor.n_batch)
        self._executor = executor
        self._cache = cache
        self._proposer = proposer
        self._limits = Limits.of(executor, max_active)
        self.costs = RowCosts()
        self._passes = Passes(executor, cache.clear, self.costs)
        self._embedding = EmbeddingQueue(executor, cache.clear)
        self._pacing = Pacing()
        self._waiting: deque[AnyRequest] = deque()
        self._active: list[AnyRequest] = []

    @property
    def has_work(self) -> bool:
        """Whether a step would do anything now."""
        return bool(self._waiting or self._embedding) or any(
            request.stage is not Stage.PARKED for request in self._active
        )

    @property
    def is_idle(self) -> bool:
        """Whether it has no requests at all."""
        return not (self._active or self._waiting or self._embedding)

    @property
    def n_unfinished(self) -> int:
        """Requests that have a place or wait for one."""
        return _count_unfinished((*self._active, *self._waiting, *self._embedding))

    def switch(self, reading: Reading, change: Callable[[], None]) -> None:
        """Compute with other adapters, which `change` makes the executor do.

        Of cached sequences the rows stay that are computed alike: if the adapters that
        act on all rows are the same, those before an activated one acts.
        """
        change()
        if reading.adapters != self.reading.adapters:
            self._cache.clear()
        elif reading.activated != self.reading.activated:
            self._cache.forget_adapted()
        self.reading = reading

    def add(self, requests: Iterable[AnyRequest]) -> None:
        """Take requests to run."""
        takes = self._embedding.takes
        self._waiting.extend(one for one in requests if not takes(one))

    def step(
        self,
        before_settling: Callable[[], object] = _do_nothing,
        is_awaited: Callable[[], bool] = _always,
    ) -> None:
        """Run a forward pass, and one that embeds texts, if there is any to run.

        Short passes in which texts just grow are followed by others at once.

        Parameters
        ----------
        before_settling : callable
            Called once `n_unfinished` no longer counts the requests that have ended,
            before any of their callers hears of it.
        is_awaited : callable
            Whether something has arrived that is not to wait for another pass.
        """
        self._cancel_unwanted()
        for request in self._active:
            request.park_or_resume()
        self._admit()
        self._run_pass(is_awaited)
        self._active += self._embedding.run_pass()
        # Waiting requests may begin like one that has just ended.
        self._admit()
        before_settling()
        self._release_ended()

    def abandon(
        self,
        error: BaseException,
        before_settling: Callable[[], object] = _do_nothing,
    ) -> None:
        """End all requests with `error` and give all memory back; see `step`."""
        self._active += [*self._waiting, *self._embedding.take_all()]
        self._waiting.clear()
        for request in self._active:
            request.fail(error)
        before_settling()
        self._release_ended()
        self._cache.clear()
        if self._proposer is not None:
            self._proposer.clear()

    def _cancel_unwanted(self) -> None:
        for request in (*self._active, *self._waiting, *self._embedding):
            try:
                if request.is_cancelled and not request.has_ended:
                    request.cancel()
            except BaseException as error:  # of the caller's own token
                request.fail(error)
        ended = [request for request in self._waiting if request.has_ended]
        for request in ended:  # needs no place: goes with the active ones that end
            self._waiting.remove(request)
            self._let_in(request)
        self._active += self._embedding.take_ended()

    def _admit(self) -> None:
        """Give places to waiting requests, and sequences to those that can begin."""
        if self._waiting:
            n_free = self.max_active - _count_unfinished(self._active)
            while self._waiting and n_free > 0:
                request = self._waiting.popleft()
                self._let_in(request)
                n_free -= not request.has_ended
        for request in self._active:
            if request.stage is Stage.WAITING:
                self._begin(request)

    def _let_in(self, request: AnyRequest) -> None:
        self._active.append(request)  # to be ended, too, if the next call raises
        request.admit(self.reading)

    def _begin(self, request: AnyRequest) -> None:
        """Give `request` a sequence, forked from one that holds most of its prompt.

        Does nothing while another request is reading more of the same.
        """
        if not request.goal.n_shareable:
            request.start(self._executor.new_sequence())
            return
        alike = find_alike(request, self._active)
        shared = longest_shared(request, alike, self._cache)
        if most_shared_soon(alike) >= shared.n_tokens + request.goal.min_shared:
            mark_shared(request, alike)
            return
        if shared.sequence is None:
            request.start(self._executor.new_sequence())
            return
        sequence = shared.sequence.fork()
        sequence.truncate(shared.n_tokens)
        request.start(sequence)

    def _run_pass(self, is_awaited: Callable[[], bool]) -> None:
        requests = self._pacing.arranged(self._active)
        n_beside = self._pacing.n_beside
        parts = choose_parts(
            requests, self._limits, self.costs, self._proposer, n_beside
        )
        if not parts:
            return
        if len(parts) >= self._limits.n_decode:  # next time it is the others' turn
            grown = {part.request for part in parts if part.is_decode}
            if len(grown) >= self._limits.n_decode:
                self._active.sort(key=grown.__contains__)
        started = perf_counter()
        go_on = self._going_on(parts, is_awaited, started)
        n_passes = self._passes.run(parts, self._count_waiting, go_on)
        seconds = perf_counter() - started
        self._pacing.note(requests, parts, seconds / max(1, n_passes))

    def _going_on(
        self, parts: list[Part], is_awaited: Callable[[], bool], started: float
    ) -> GoOn | None:
        """Return what lets texts go on at once; None if anything else is to be done."""
        are_single = all(p.is_decode and len(p.rows.tokens) == 1 for p in parts)
        if not are_single or len(parts) < len(self._active) or self._waiting:
            return None
        if self._embedding or self._proposer is not None:
            return None

        def go_on() -> list[int] | None:
            if is_awaited() or perf_counter() - started > MOST_SECONDS:
                return None
            return next_tokens(parts, self._limits, self.costs)

        return go_on

    def _count_waiting(self) -> int:
        """Count requests that wait, for a place or for another one to read."""
        n_held_up = sum(one.stage is Stage.WAITING for one in self._active)
        return len(self._waiting) + n_held_up

    def _release_ended(self) -> None:
        """Take requests out that have ended, with their sequences, and settle them."""
        ended = [request for request in self._active if request.has_ended]
        self._active = [one for one in self._active if not one.has_ended]
        for request in ended:
            self._release_sequence(request)
            request.settle()

    def _release_sequence(self, request: AnyRequest) -> None:
        context, leftover = request.context, request.leftover
        if context.sequence is None or leftover is Leftover.KEPT:
            return
        if leftover is Leftover.CLOSED or request.has_failed:
            context.sequence.close()
        else:
            ids = context.ids[: context.sequence.n_past]
            self._cache.put(ids, context.sequence)


def _count_unfinished(requests: Iterable[AnyRequest]) -> int:
    """Count the requests that have not ended and are not parked."""
    return sum(not (one.has_ended or one.stage is Stage.PARKED) for one in requests)
