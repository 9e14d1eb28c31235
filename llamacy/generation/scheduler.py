"""Which rows go into the next forward pass, of all the texts that are wanted.

A pass grows every text by a token and reads as much of the prompts as there is room
for. What prompts have in common is read once: a sequence is forked from one that
already holds the same tokens, of another text or of the cache, and a prompt waits
while another is reading what both begin with.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import OutOfMemoryError
from llamacy.generation.prefix_cache import MIN_SHARED, PrefixCache, common_prefix
from llamacy.generation.request import Request
from llamacy.ops.batch import Batch, Wanted
from llamacy.ops.state.sequence import SequenceState

MAX_TOGETHER = 16
"""Most texts decoded at once; more wait, because each one's KV cache is memory."""

MAX_READ_BESIDE = 128
"""Most prompt rows of a pass in which texts grow too: they wait for it."""

LOGITS_BYTES = 64 * 2**20
"""Most memory for the logits of a prompt whose every token is scored."""

Part = tuple[Request, tuple[list[int], SequenceState, Wanted]]


class Executor(Protocol):
    """What generation asks of an executor."""

    @property
    def n_batch(self) -> int:
        """Most rows of one forward pass."""

    @property
    def n_vocab(self) -> int:
        """Logits of a row."""

    def new_sequence(self) -> SequenceState:
        """Return an empty sequence."""

    def forward(
        self, batch: Batch, logits: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Logits (n_wanted, n_vocab), in `logits` if given; the sequences grow."""


class Scheduler:
    """Runs requests together, a pass at a time. Belongs to one thread.

    Parameters
    ----------
    executor : runs the passes.
    cache : keeps the sequences of texts that have ended.

    Attributes
    ----------
    adapters : tells the adapters that passes compute with from others.
    """

    def __init__(self, executor: Executor, cache: PrefixCache) -> None:
        self._executor = executor
        self._cache = cache
        self.adapters = ""
        self._waiting: deque[Request] = deque()
        self._active: list[Request] = []
        self._logits = np.empty((0, executor.n_vocab), np.float32)
        self._max_together = min(MAX_TOGETHER, executor.n_batch)
        self._max_scored = max(1, LOGITS_BYTES // (4 * executor.n_vocab))

    @property
    def has_work(self) -> bool:
        """Whether a step would do anything now."""
        return any(
            not one.is_parked for some in (self._active, self._waiting) for one in some
        )

    @property
    def is_idle(self) -> bool:
        """Whether it has no requests at all."""
        return not (self._active or self._waiting)

    def switch(self, adapters: str, change: Callable[[], None]) -> None:
        """Compute with other `adapters`, which `change` makes the executor do.

        What past texts have left was computed with those of before, and goes.
        """
        change()
        self._cache.clear()
        self.adapters = adapters

    def add(self, requests: Iterable[Request]) -> None:
        """Take requests to run."""
        self._waiting.extend(requests)

    def step(self) -> None:
        """Run one forward pass, if there is anything to run."""
        self._cancel_unwanted()
        self._admit()
        if parts := self._choose_rows():
            self._run(parts)
        # Those that wait may begin like one that has just ended.
        self._admit()
        self._release_ended()

    def abandon(self, error: BaseException) -> None:
        """End all requests with `error` and give all memory back."""
        self._active += self._waiting
        self._waiting.clear()
        for request in self._active:
            request.fail(error)
        self._release_ended()
        self._cache.clear()

    def _cancel_unwanted(self) -> None:
        for request in (*self._active, *self._waiting):
            try:
                if request.is_cancelled and not request.has_ended:
                    request.cancel()
            except BaseException as error:  # of the caller's own token
                request.fail(error)

    def _admit(self) -> None:
        """Let waiting requests in, and give sequences to those that can begin."""
        busy = sum(not one.is_parked and not one.has_ended for one in self._active)
        while self._waiting and busy < self._max_together:
            self._let_in(self._waiting.popleft())
            busy += not self._active[-1].has_ended
        for request in self._active:
            if request.sequence is None and not request.has_ended:
                self._begin(request)

    def _let_in(self, request: Request) -> None:
        sequence = request.sequence
        if sequence is not None and request.adapters != self.adapters:
            sequence.truncate(0)
            request.start(sequence)
        request.adapters = self.adapters
        self._active.append(request)

    def _begin(self, request: Request) -> None:
        """Give `request` a sequence, with what others hold of its prompt already.

        Does nothing while another is reading more of the same.
        """
        source: SequenceState | None = None
        n_shared = n_soon = 0
        if not request.scores_prompt:  # which takes reading all of it
            source, n_shared = self._cache.find(request.ids)
            for other in self._active:
                if other.sequence is None or other is request:
                    continue
                n_common = common_prefix(other.ids, request.ids)
                n_held = min(n_common, other.sequence.n_past)
                is_more = n_held >= max(MIN_SHARED, n_shared + 1)
                if is_more and other.sequence.can_go_back(n_held):
                    source, n_shared = other.sequence, n_held
                is_ahead = other.sequence.n_past < n_common
                if is_ahead and other.is_reading and not other.has_ended:
                    n_soon = max(n_soon, min(n_common, other.n_to_read))
        if n_soon >= n_shared + MIN_SHARED:
            return
        if source is None:
            request.start(self._executor.new_sequence())
            return
        sequence = source.fork()
        # The last token is read in any case, for the logits of what follows it.
        sequence.truncate(min(n_shared, request.n_to_read - 1))
        request.start(sequence)

    def _choose_rows(self) -> list[Part]:
        """Rows of the next pass: a token of each text, then what is to be read."""
        ready = [
            request
            for request in self._active
            if not (request.sequence is None or request.has_ended or request.is_parked)
        ]
        growing = [one for one in ready if one.is_growing][: self._max_together]
        parts = [(request, request.next_rows(1)) for request in growing]
        room = self._executor.n_batch - len(parts)
        if growing:
            room = min(room, MAX_READ_BESIDE)
        room_scored = self._max_scored
        for request in ready:
            limit = min(room, room_scored) if request.scores_next else room
            if not request.is_growing and limit:
                parts.append((request, request.next_rows(limit)))
                n_rows = len(parts[-1][1][0])
                room -= n_rows
                room_scored -= n_rows * request.scores_next
        if len(growing) == self._max_together:  # the others' turn comes first next time
            self._active.sort(key=growing.__contains__)
        return parts

    def _run(self, parts: list[Part]) -> None:
        """Run a pass, and let each request go on with its logits."""
        start = perf_counter()
        was_reading = [not request.is_growing for request, _ in parts]
        try:
            logits = self._forward(Batch.join(rows for _, rows in parts))
        except BaseException as error:
            for request, _ in parts:
                request.fail(error)
            return
        first = 0
        for request, (tokens, _, wanted) in parts:
            n_wanted = {"all": len(tokens), "last": 1, "none": 0}[wanted]
            try:
                request.take(logits[first : first + n_wanted])
            except BaseException as error:  # of a logits processor, of broken weights
                request.fail(error)
            first += n_wanted
        seconds = perf_counter() - start
        for (request, _), reading in zip(parts, was_reading, strict=True):
            request.spend(reading, seconds)

    def _forward(self, batch: Batch) -> NDArray[np.float32]:
        """Run a pass; past texts make room for it where memory is short."""
        n_wanted = len(batch.wanted)
        if len(self._logits) < n_wanted:
            self._logits = np.empty((n_wanted, self._executor.n_vocab), np.float32)
        try:
            return self._executor.forward(batch, self._logits[:n_wanted])
        except OutOfMemoryError:
            if not self._cache.clear():
                raise
            return self._executor.forward(batch, self._logits[:n_wanted])

    def _release_ended(self) -> None:
        """Take the ended ones out, keep or close their sequences, tell who asked."""
        ended = [request for request in self._active if request.has_ended]
        self._active = [one for one in self._active if not one.has_ended]
        for request in ended:
            sequence = request.sequence
            if sequence is not None and not request.keeps_sequence:
                if not request.has_failed:
                    self._cache.put(request.ids[: sequence.n_past], sequence)
                else:
                    sequence.close()
            request.settle()
