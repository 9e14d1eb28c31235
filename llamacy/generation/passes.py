"""Forward passes: rows of several requests in, their logits out to each."""

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
from llamacy.ops.batch import Batch

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

    def run(self, parts: Sequence[Part], count_waiting: Callable[[], int]) -> None:
        """Run a pass; an error ends the requests that it is of.

        Parameters
        ----------
        parts : sequence of Part
            The rows, at least one.
        count_waiting : callable
            Called for the log; counts requests that have no rows because they wait.
        """
        started = perf_counter()
        try:
            logits = self._forward(parts)
        except OutOfMemoryError as error:
            if not any(map(_is_drafted, parts)):
                _fail(parts, error)
                return
            self.run(list(map(_undrafted, parts)), count_waiting)
            return
        except BaseException as error:
            _fail(parts, error)
            return
        self._note_cost(parts, perf_counter() - started)
        _hand_out(logits, parts)
        ended = perf_counter()
        for part in parts:
            part.request.spend(started, ended, is_decode=part.is_decode)
        if _logger.isEnabledFor(logging.DEBUG):
            _log(parts, count_waiting(), ended - started)

    def _forward(self, parts: Sequence[Part]) -> NDArray[np.float32]:
        for part in filter(_is_drafted, parts):
            part.rows.sequence.try_rows(len(part.rows.tokens))
        batch = Batch.join(part.rows for part in parts)
        n_wanted = len(batch.wanted)
        if len(self._logits) < n_wanted:
            self._logits = np.empty((n_wanted, self._executor.n_vocab), np.float32)
        try:
            return self._executor.forward(batch, self._logits[:n_wanted])
        except OutOfMemoryError:
            if not self._free_memory():
                raise
            return self._executor.forward(batch, self._logits[:n_wanted])

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
