"""Mirostat: truncation that keeps the surprise of the text near a target.

Surprise is -log2 of a token's probability, in bits. Source: Basu et al. 2021,
arXiv:2007.14966; both versions, with llama.cpp's constants.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from llamacy.sampling.largest import largest
from llamacy.sampling.params import SamplingParams

_N_ESTIMATE = 100  # likeliest tokens from which the exponent of Zipf's law is estimated


class Mirostat:
    """Chooses tokens, and adapts to how surprising they were.

    Parameters
    ----------
    params : SamplingParams
        Only the options named `mirostat*` are used.
    """

    def __init__(self, params: SamplingParams) -> None:
        self._tau = params.mirostat_tau
        self._eta = params.mirostat_eta
        self._truncate = {1: self._by_rank, 2: self._by_surprise}[params.mirostat]
        self._mu = 2 * self._tau  # largest surprise allowed, in bits

    def sample(
        self, logits: NDArray[np.float32], temperature: float, uniform: float
    ) -> int:
        """Choose a token.

        Parameters
        ----------
        logits : float32, (n_vocab,)
            The row of logits.
        temperature : float
            Divides the logits; above 0.
        uniform : float
            A random number in [0, 1).
        """
        x = (logits.astype(np.float64) - float(logits.max())) / temperature
        ids = self._truncate(x)
        cumulative = np.exp(x[ids]).cumsum()
        drawn = int(cumulative.searchsorted(uniform * cumulative[-1], "right"))
        drawn = min(drawn, len(ids) - 1)
        surprise = (math.log(cumulative[-1]) - float(x[ids[drawn]])) / math.log(2)
        self._mu -= self._eta * (surprise - self._tau)
        return int(ids[drawn])

    def _by_rank(self, x: NDArray[np.float64]) -> NDArray[np.intp]:
        """Version 1: keep the likeliest tokens, as many as Zipf's law allows."""
        top = largest(x, min(_N_ESTIMATE, len(x)))
        top = top[x[top] > -np.inf]
        ranks = np.arange(1, len(top))
        steps = np.log((ranks + 1) / ranks)
        fit = float(np.square(steps).sum())
        exponent = float(-(steps * np.diff(x[top])).sum()) / fit if fit else 0.0
        return largest(x, min(max(int(self._rank(exponent, len(x))), 1), len(x)))

    def _rank(self, exponent: float, n: int) -> float:
        """Return the number of tokens below the allowed surprise: the paper's k."""
        excess = exponent - 1
        with np.errstate(all="ignore"):
            share = (
                np.float64(excess) * np.exp2(self._mu) / (1 - np.float64(n) ** -excess)
            )
            rank = float(np.float64(share) ** (1 / np.float64(exponent)))
        return rank if rank <= n else n  # NaN gives n as well

    def _by_surprise(self, x: NDArray[np.float64]) -> NDArray[np.intp]:
        """Version 2: keep tokens within the allowed surprise, or else the likeliest."""
        bound = math.log(float(np.exp(x).sum())) - self._mu * math.log(2)
        ids = np.flatnonzero(x >= bound)
        return ids if len(ids) else np.array([x.argmax()])
