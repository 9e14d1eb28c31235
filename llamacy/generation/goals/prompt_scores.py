"""How likely the tokens of a prompt are, where that is asked."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamacy.generation.context import Context
from llamacy.results import TokenLogprob
from llamacy.sampling import token_logprob
from llamacy.tokenizers.base import Tokenizer


class PromptScores:
    """Likelihoods of a prompt's tokens, pass by pass.

    Parameters
    ----------
    context : Context
        The prompt.
    n_likeliest : int
        How many alternatives come with each token.
    tokenizer : Tokenizer, optional
        Has the tokens' texts.
    """

    def __init__(
        self, context: Context, n_likeliest: int, tokenizer: Tokenizer | None = None
    ) -> None:
        self._context = context
        self._tokenizer = tokenizer
        self._n_likeliest = n_likeliest
        self._logprobs: list[TokenLogprob] = []

    @property
    def logprobs(self) -> list[TokenLogprob | None]:
        """Likelihoods of the tokens so far; None where they are not known.

        Nothing is known of tokens that were read before, nor of the one after them,
        which is the first token if nothing was.
        """
        return [None] * (self._context.n_cached + 1) + self._logprobs

    def add(self, logits: NDArray[np.float32]) -> None:
        """Note how likely the tokens after those just read were.

        Parameters
        ----------
        logits : float32, (n_rows, n_vocab)
            Of the rows that the last pass read. The last one may be the prompt's last
            token, which nothing follows yet.
        """
        following = self._context.following(len(logits))
        for row, token in zip(logits, following, strict=False):
            self._logprobs.append(
                token_logprob(row, token, self._n_likeliest, self._tokenizer)
            )
