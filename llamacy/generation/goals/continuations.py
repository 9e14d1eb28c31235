"""The goal of a request for the likelihoods of several continuations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from llamacy.generation.context import Context
from llamacy.generation.goals.goal import Goal
from llamacy.generation.rows import Rows
from llamacy.generation.stages import Stage
from llamacy.ops.rope import LongTexts
from llamacy.sampling import logprobs_of


class Continuations(Goal):
    """Tell how likely continuations of a prompt are that differ in their last token.

    Their last tokens are not read: one row of logits has the likelihoods of all. Only
    the logits after the prompt's last token and after those that follow it are wanted;
    the tokens before it are shared with all requests that begin with them.

    Parameters
    ----------
    ids : sequence of int
        The prompt's tokens, at least one.
    common : sequence of int
        The tokens after the prompt that all continuations begin with; may be empty.
    last : iterable of int
        The last token of each continuation.
    n_ctx : int
        Most tokens of a context.
    long_texts : LongTexts, optional
        How long texts are rotated, as for `Context`.

    Attributes
    ----------
    logprobs : list of float or None
        Natural logarithm of each continuation's probability after the prompt, in the
        order of `last`; None until it is known.

    Raises
    ------
    ContextLengthError
        Prompt and `common` have more than `n_ctx` tokens.
    """

    # Its siblings begin with the same prompt, however short.
    min_shared = 1

    def __init__(
        self,
        ids: Sequence[int],
        common: Sequence[int],
        last: Iterable[int],
        n_ctx: int,
        long_texts: LongTexts | None = None,
    ) -> None:
        super().__init__(Context([*ids, *common], n_ctx, long_texts=long_texts))
        self.logprobs: list[float] | None = None
        self._n_before = len(ids) - 1  # the first row wanted
        self._last = tuple(last)
        self._logprob = 0.0  # of the tokens in `common` so far

    @property
    def n_shareable(self) -> int:
        """The prompt's tokens but the last, whose logits are wanted."""
        return self._n_before

    @property
    def n_to_read(self) -> int:
        """All tokens of the context."""
        return self.context.n_prompt

    def next_rows(self, n_rows: int, n_scored: int) -> Rows:
        """Return rows of the prompt, which are not wanted, or rows that all are."""
        end = self.n_to_read
        if self._n_before == end - 1 and self.context.n_past + n_rows >= end:
            return self.context.rows(n_rows, end, "last")
        n_before = self._n_before - self.context.n_past
        if n_before > 0:
            return self.context.rows(min(n_rows, n_before), end, "none")
        return self.context.rows(min(n_rows, n_scored), end, "all")

    def take(self, logits: NDArray[np.float32]) -> Stage:
        """Note the likelihoods of the tokens after those just read."""
        following = self.context.following(len(logits))
        for row, token in zip(logits, following, strict=False):
            self._logprob += logprobs_of(row, [token])[0]
        if self.context.n_past < self.n_to_read:
            return Stage.READING
        ends = logprobs_of(logits[-1], self._last)
        self.logprobs = [self._logprob + logprob for logprob in ends]
        return Stage.ENDED
