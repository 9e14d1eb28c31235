"""Forward passes: rows of several requests in, their logits out to each.

Where texts grow alone, one pass after the other is run without the scheduler: between
them there is little more than the choice of a token.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import OutOfMemoryError
from llamacy.generation.drafting.row_costs import RowCosts
from llamacy.generation.executor import Executor
from llamacy.generation.parts import Part
from llamacy.ops.batch import Batch, GoOn

_logger = logging.getLogger("llamacy")


class Passes:
    """Runs forward passes, and lets each request go on with its logits.

    Parameters
    ----------
    executor : Executor
        Computes them.
    free_memory : callable
        Called where memory is short; returns whether it freed any.
    costs : RowCosts
        Told how long passes take.
    """

    def __init__(
        self, executor: Executor, free_memory: Callable[[], bool], costs: RowCosts
    ) -> None:
        self._executor = executor
        self._free_memory = free_memory
        self._costs = costs
        self._logits = np.empty((0, executor.n_vocab), np.float32)

    def run(
        self,
        parts: Sequence[Part],
        count_waiting: Callable[[], int],
        next_tokens: GoOn | None = None,
    ) -> int:
        """Run a pass, or several; an error ends the requests that they are of.

        Parameters
        ----------
        parts : sequence of Part
            The rows, at least one.
        count_waiting : callable
            Called for the log; counts requests that have no rows because they wait.
        next_tokens : GoOn, optional
            Called where another pass of the same texts can follow at once; returns the
            token of each if nothing is to be done before it.

        Returns
        -------
        int
            How many passes there were.
        """
        timed = _TimedPasses(parts, count_waiting)

        def go_on() -> list[int] | None:
            timed.end_pass(self._logits)
            tokens = None if next_tokens is None else next_tokens()
            timed.is_over = tokens is None
            return tokens

        try:
            self._forward(parts, None if next_tokens is None else go_on)
        except OutOfMemoryError as error:
            if not any(map(_is_drafted, parts)):
                _fail(parts, error)
                return timed.n_passes
            return self.run(list(map(_undrafted, parts)), count_waiting)
        except BaseException as error:
            _fail(parts, error)
            return timed.n_passes
        if not timed.is_over:
            timed.end_pass(self._logits)
        self._note_cost(parts, timed.first_seconds)
        return timed.n_passes

    def _forward(self, parts: Sequence[Part], go_on: GoOn | None) -> None:
        for part in filter(_is_drafted, parts):
            part.rows.sequence.try_rows(len(part.rows.tokens))
        batch = Batch.join(part.rows for part in parts)
        n_wanted = len(batch.wanted)
        if len(self._logits) < n_wanted:
            self._logits = np.empty((n_wanted, self._executor.n_vocab), np.float32)
        try:
            self._executor.forward(batch, self._logits[:n_wanted], go_on)
        except OutOfMemoryError:
            if not self._free_memory():
                raise
            self._executor.forward(batch, self._logits[:n_wanted], go_on)

    def _note_cost(self, parts: Sequence[Part], seconds: float) -> None:
        """Note what a pass of growing texts alone has cost, if all rows were wanted."""
        n_rows = 0
        for part in parts:
            rows = part.rows
            if not part.is_decode or rows.n_wanted < len(rows.tokens):
                return
            n_rows += len(rows.tokens)
        texts = tuple([part.request.number for part in parts])
        self._costs.note(texts, len(parts), n_rows, seconds)


class _TimedPasses:
    """Passes of the same texts, one after the other: ended, timed, and logged.

    Parameters
    ----------
    parts : sequence of Part
        The rows of the first one.
    count_waiting : callable
        Called for the log.

    Attributes
    ----------
    n_passes : int
        Passes so far.
    first_seconds : float
        The time of the first one, before anything was chosen by it.
    is_over : bool
        Whether all passes that were begun have ended.
    """

    def __init__(self, parts: Sequence[Part], count_waiting: Callable[[], int]) -> None:
        self.n_passes = 0
        self.first_seconds = 0.0
        self.is_over = False
        self._parts = parts
        self._count_waiting = count_waiting
        self._started = perf_counter()

    def end_pass(self, logits: NDArray[np.float32]) -> None:
        """Let each request go on with its logits; note the time that it took."""
        if not self.n_passes:
            self.first_seconds = perf_counter() - self._started
        self.n_passes += 1
        _hand_out(logits, self._parts)
        started, self._started = self._started, perf_counter()
        for part in self._parts:
            part.request.spend(started, self._started, is_decode=part.is_decode)
        if _logger.isEnabledFor(logging.DEBUG):
            _log(self._parts, self._count_waiting(), self._started - started)


def _is_drafted(part: Part) -> bool:
    return part.is_decode and part.rows.n_wanted > 1


def _undrafted(part: Part) -> Part:
    """Return a part without the rows of a draft, for which there is no memory."""
    if not _is_drafted(part):
        return part
    part.rows.sequence.try_rows(0)
    n_rows = len(part.rows.tokens) - part.rows.n_wanted + 1
    return part._replace(rows=part.request.next_rows(n_rows, 1))


def _fail(parts: Sequence[Part], error: BaseException) -> None:
    for part in parts:
        part.request.fail(error)


def _hand_out(logits: NDArray[np.float32], parts: Sequence[Part]) -> None:
    """Give each request the logits of its own rows."""
    first = 0
    for part in parts:
        end = first + part.rows.n_wanted
        try:
            part.request.take(logits[first:end])
        except BaseException as error:  # of a logits processor, of broken weights
            part.request.fail(error)
        first = end


def _log(parts: Sequence[Part], n_waiting: int, seconds: float) -> None:
    """Log one line about a pass that was run."""
    begun = [part.request for part in parts if part.request.n_passes == 1]
    _logger.debug(
        "pass: %d rows of %d texts, %d of them prefill; %d tokens cached, "
        "%d requests waiting, waited %.3f s, took %.3f s",
        sum(len(part.rows.tokens) for part in parts),
        len(parts),
        sum(len(part.rows.tokens) for part in parts if not part.is_decode),
        sum(request.context.n_cached for request in begun),
        n_waiting,
        max((request.waited_seconds for request in begun), default=0.0),
        seconds,
    )
