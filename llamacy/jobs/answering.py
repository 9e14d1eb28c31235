"""A model and rows to their results, one by one as they end."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Protocol

from llamacy.errors import LlamacyError, OutOfMemoryError
from llamacy.generation.cancelling import CancelToken
from llamacy.jobs.ordering import order
from llamacy.jobs.rows import Row
from llamacy.jobs.tasks import Result, Task
from llamacy.model.mixed_calls import Call, Outcome, each_call
from llamacy.model.model import Model

_logger = logging.getLogger("llamacy.jobs")


class Answer(Protocol):
    """Answers rows: `answers` of a model, here or elsewhere."""

    def __call__(
        self,
        task: Task,
        windows: Iterable[Sequence[Row]],
        *,
        cancel: CancelToken | None = None,
    ) -> Generator[tuple[Row, Result], None, None]:
        """Yield the result of each row once, in any order."""


def answers(
    model: Model,
    task: Task,
    windows: Iterable[Sequence[Row]],
    *,
    cancel: CancelToken | None = None,
) -> Generator[tuple[Row, Result], None, None]:
    """Yield the result of each row as soon as there is one, in any order.

    As many rows are under way as the model decodes together, and as many again, across
    windows. Within a window those that begin alike follow one another. A row that found
    no memory beside the others is tried again at the end, alone.

    Parameters
    ----------
    model : Model
        The model.
    task : Task
        It need not be fitted to the model.
    windows : iterable of sequences of Row
        Rows, some at a time; a window is taken when those before it are under way.
    cancel : CancelToken, optional
        Once it is set, no more rows begin, and those that are under way have no result.

    Yields
    ------
    tuple of Row and Result
        Each row once; the results of rows that fail say so.

    Raises
    ------
    LlamacyError
        The task is not for this model, or the model is closed or busy.
    """
    task = task.fitted(model)
    taken: dict[int, Row] = {}
    crowded: list[Row] = []
    with each_call(model, _calls(task, windows, taken), cancel) as each:
        for index, outcome in each:
            row = taken.pop(index)
            if cancel is not None and cancel.is_set():
                return
            if isinstance(outcome, OutOfMemoryError):
                crowded.append(row)  # the others of the moment are not its fault
            else:
                yield row, _result(task, row, outcome, model)
    for row in crowded:
        with each_call(model, [_call(task, row)], cancel) as each:
            for _, outcome in each:
                if cancel is not None and cancel.is_set():
                    return
                yield row, _result(task, row, outcome, model)


def _calls(
    task: Task, windows: Iterable[Sequence[Row]], taken: dict[int, Row]
) -> Iterator[Call | LlamacyError]:
    """Yield the calls of rows, each window's in a good order, and note the rows."""
    n = 0
    for window in windows:
        calls = [_call(task, row) for row in window]
        beginnings = [
            "" if isinstance(call, LlamacyError) else call.beginning for call in calls
        ]
        for place in order(beginnings):
            taken[n] = window[place]
            n += 1
            yield calls[place]


def _call(task: Task, row: Row) -> Call | LlamacyError:
    try:
        return task.call(row)
    except LlamacyError as error:
        return error.with_traceback(None)
    except Exception as error:
        return _unexpected(row, error)


def _result(
    task: Task, row: Row, outcome: Outcome | LlamacyError, model: Model
) -> Result:
    if isinstance(outcome, LlamacyError):
        return task.failure(row, outcome)
    try:
        return task.result(row, outcome, model)
    except Exception as error:
        return task.failure(row, _unexpected(row, error))


def _unexpected(row: Row, error: Exception) -> LlamacyError:
    """Return the error of a row that found a fault of ours: the others go on."""
    _logger.error("row %d failed", row.index, exc_info=error)
    return LlamacyError(f"{type(error).__name__}: {error}")
