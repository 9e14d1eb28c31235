"""The goal of a request for logits themselves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from llamacy.generation.context import Context
from llamacy.generation.goals.goal import Goal
from llamacy.generation.rows import Rows
from llamacy.generation.stages import Stage

Receive = Callable[[int, NDArray[np.float32]], object]
"""Called with a token's number and the logits after it and after those that follow."""


class Logits(Goal):
    """Read tokens, and hand over the logits after some of them.

    Parameters
    ----------
    context : Context
        The tokens, of which none was read yet.
    receive : Receive
        Gets float32, (n, n_vocab), a pass at a time and in order, on the worker's
        thread. The rows are its own to change until it returns.
    first, end : int, optional
        The logits wanted are those after the tokens from `first` to `end - 1`; all, if
        not given. Tokens from `end` on are not read.
    """

    def __init__(
        self, context: Context, receive: Receive, first: int = 0, end: int | None = None
    ) -> None:
        super().__init__(context)
        self._receive = receive
        self._first = first
        self._end = context.n_prompt if end is None else end

    @property
    def n_shareable(self) -> int:
        """None: the result must not depend on what is in the cache of past texts."""
        return 0

    @property
    def n_to_read(self) -> int:
        """The tokens before `end`."""
        return self._end

    def next_rows(self, n_rows: int, n_scored: int) -> Rows:
        """Return rows that are all wanted or, before `first`, not wanted."""
        n_before = self._first - self.context.n_past
        if n_before > 0:
            return self.context.rows(min(n_rows, n_before), self._end, "none")
        return self.context.rows(min(n_rows, n_scored), self._end, "all")

    def take(self, logits: NDArray[np.float32]) -> Stage:
        """Hand the logits over."""
        n_past = self.context.n_past
        if len(logits):
            self._receive(n_past - len(logits), logits)
        return Stage.ENDED if n_past == self._end else Stage.READING
