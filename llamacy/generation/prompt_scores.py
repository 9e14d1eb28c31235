"""How likely the tokens of a prompt are, where that is asked."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from llamacy.results import TokenLogprob
from llamacy.sampling import token_logprob


class PromptScores:
    """Likelihoods of a prompt's tokens, pass by pass.

    Parameters
    ----------
    n_likeliest : how many alternatives come with each.

    Attributes
    ----------
    logprobs : of the tokens so far; None where it is not known, as of the first.
    """

    def __init__(self, n_likeliest: int) -> None:
        self._n_likeliest = n_likeliest
        self.logprobs: list[TokenLogprob | None] = [None]

    def begin_after(self, n_tokens: int) -> None:
        """Begin after tokens that were read before.

        Nothing is known of them, nor of the one that follows them.
        """
        self.logprobs = [None] * (n_tokens + 1)

    def add(self, logits: NDArray[np.float32], following: Iterable[int]) -> None:
        """Note how likely the tokens `following` were by `logits`, (n, n_vocab).

        The last row may be one that nothing follows yet.
        """
        for row, token in zip(logits, following, strict=False):
            self.logprobs.append(token_logprob(row, token, self._n_likeliest))
