"""A model on a node, which answers some rows at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from time import monotonic
from typing import Any, Final, NamedTuple, TypeAlias

import llamacy
from llamacy.errors import LlamacyError
from llamacy.jobs.answering import answers
from llamacy.jobs.identity import identity_of_model
from llamacy.jobs.rows import Row
from llamacy.jobs.tasks import Result, Task
from llamacy.model.loading import load
from llamacy.model.model import Model

_SEND_SECONDS: Final = 0.1  # at least, between two batches of results

Found: TypeAlias = "list[tuple[int, Result]]"
"""Results by the positions of their rows."""


class LoadArguments(NamedTuple):
    """The arguments of `llamacy.load` with which each worker loads the model.

    Attributes
    ----------
    source : str
        A path that all nodes have, or a name.
    options : dict
        The options.
    """

    source: str
    options: dict[str, Any]

    @classmethod
    def of(cls, model: Model | str | os.PathLike[str]) -> LoadArguments:
        """Return those that load a model again, or a path or name.

        Raises
        ------
        NotPicklableError
            The model was not made by `llamacy.load`.
        """
        if isinstance(model, Model):
            # as pickle has it, with the adapters of the moment
            _, (recipe, *_) = model.__reduce__()
            lora = [(os.path.abspath(path), scale) for path, scale in recipe.adapters]
            return cls(recipe.source, {**dict(recipe.options), "lora": lora})
        name = os.fspath(model)
        return cls(os.path.abspath(name) if os.path.exists(name) else name, {})

    @property
    def n_threads(self) -> int | None:
        """Threads of each worker; None for as many as its node has cores."""
        n_threads: int | None = self.options.get("n_threads")
        return n_threads

    def load(self) -> Model:
        """Load the model."""
        return load(self.source, **self.options)


class Begun(NamedTuple):
    """A worker that is ready: its version of llamacy, and the model's identity."""

    version: str
    model: dict[str, Any]


class Worker:
    """A model in a process of a cluster.

    Its methods return errors rather than raise them: Ray would wrap them, and lose
    their causes.

    Parameters
    ----------
    task : Task
        The task.
    arguments : LoadArguments
        Arguments with which each worker loads the model.
    """

    def __init__(self, task: Task, arguments: LoadArguments) -> None:
        self._task = task
        self._arguments = arguments
        self._model: Model | None = None

    def begin(self) -> Begun | LlamacyError:
        """Load the model, and see whether the task is for it."""
        try:
            self._model = self._arguments.load()
            self._task = self._task.fitted(self._model)
        except LlamacyError as error:
            return error.with_traceback(None)
        return Begun(llamacy.__version__, identity_of_model(self._model))

    def answer(
        self, rows: Sequence[Row], seconds: float = 0.0
    ) -> Iterator[Found | LlamacyError]:
        """Yield results as they come, and an error if the rest cannot be answered.

        Two calls run at once, so that the model has rows while one of them ends.

        Parameters
        ----------
        rows : sequence of Row
            The rows.
        seconds : float
            Time between two batches of results, where there are many workers.
        """
        seconds = max(seconds, _SEND_SECONDS)
        assert self._model is not None
        found: Found = []
        sent = monotonic()
        try:
            with closing(answers(self._model, self._task, [rows])) as each:
                for row, result in each:
                    found.append((row.index, result))
                    if monotonic() - sent > seconds:
                        yield found
                        found = []
                        sent = monotonic()
        except LlamacyError as error:
            yield error.with_traceback(None)
            return
        yield found
