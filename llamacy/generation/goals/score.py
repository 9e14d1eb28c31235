"""The goal of a request for the likelihoods of its own tokens."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamacy.generation.context import Context
from llamacy.generation.goals.goal import Goal
from llamacy.generation.goals.prompt_scores import PromptScores
from llamacy.generation.rows import Rows
from llamacy.generation.stages import Stage
from llamacy.results import Score as ScoreResult
from llamacy.tokenizers.base import Tokenizer
from llamacy.tokenizers.token_text import token_text


class Score(Goal):
    """Tell how likely each token is after those before it.

    The last token is not read: nothing follows it.

    Parameters
    ----------
    context : Context
        The text, of which nothing was read yet.
    tokenizer : Tokenizer, optional
        Has the tokens' texts.
    """

    def __init__(self, context: Context, tokenizer: Tokenizer | None = None) -> None:
        super().__init__(context)
        self._scores = PromptScores(context, n_likeliest=0)
        self._tokenizer = tokenizer

    @property
    def result(self) -> ScoreResult:
        """How likely the text is, when the request has ended."""
        logprobs = [
            None if one is None else one.logprob for one in self._scores.logprobs
        ]
        ids = self.context.ids
        texts = [token_text(self._tokenizer, token) for token in ids]
        return ScoreResult(ids, logprobs, texts)

    @property
    def n_shareable(self) -> int:
        """None: it wants all logits."""
        return 0

    @property
    def n_to_read(self) -> int:
        """All tokens but the last."""
        return self.context.n_prompt - 1

    def next_rows(self, n_rows: int, n_scored: int) -> Rows:
        """Return rows that are all wanted."""
        return self.context.rows(min(n_rows, n_scored), self.n_to_read, "all")

    def take(self, logits: NDArray[np.float32]) -> Stage:
        """Note the likelihoods of the tokens after those just read."""
        self._scores.add(logits)
        is_over = self.context.n_past == self.n_to_read
        return Stage.ENDED if is_over else Stage.READING
