"""From logits to log-probabilities, and from those to 16 bits and back.

In 16 bits, a row of log-probabilities is two float32, scale and minimum, and a uint16 q
for each token: `scale * q + minimum`. Values more than 16 below the likeliest token's
are raised to 16 below it, where a token has at most 1e-7 of its probability. The
arithmetic is float32 where llama.cpp's is, so that the bits are the same. Source:
`log_softmax` of its `tools/perplexity/perplexity.cpp`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import ModelOutputError

Floats = NDArray[np.float32]

N_HEAD_WORDS = 4
"""16-bit words before those of the tokens: two float32."""

_DEPTH = np.float32(16)  # range of the 16 bits, below the likeliest token's value
_STEPS = np.float32(65535)
_IN_CACHE = 1 << 16  # floats of a block, whose temporaries stay in the CPU's cache


class LogSoftmax(NamedTuple):
    """Rows of logits, with the figures that turn them into log-probabilities.

    Attributes
    ----------
    logits : float32, (n, n_vocab)
        The logits.
    peak, low : float32, (n,)
        The largest and the smallest logit of each row.
    log_sum : float64, (n,)
        Logarithm of each row's sum of `exp(logits - peak)`.
    """

    logits: Floats
    peak: Floats
    low: Floats
    log_sum: NDArray[np.float64]

    @classmethod
    def of(cls, logits: Floats) -> LogSoftmax:
        """Compute the figures of some rows.

        Raises
        ------
        ModelOutputError
            A logit is NaN or infinite.
        """
        peak, low = logits.max(axis=1), logits.min(axis=1)
        if not (np.isfinite(peak).all() and np.isfinite(low).all()):
            raise ModelOutputError("a logit is not finite: the weights are broken")
        weights = np.exp(logits - peak[:, None])
        return cls(logits, peak, low, np.log(weights.sum(axis=1, dtype=np.float64)))

    def nll(self, tokens: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return the negative log-likelihood of one token per row: float64, (n,)."""
        chosen = np.take_along_axis(self.logits, tokens[:, None], axis=1)[:, 0]
        return self.log_sum - (chosen - self.peak)

    def log_probs(self) -> Floats:
        """Return the log-probabilities: float32, (n, n_vocab)."""
        total = self.peak + self.log_sum.astype(np.float32)
        return self.logits - total[:, None]


def in_blocks(n_rows: int, n_vocab: int) -> Iterator[slice]:
    """Yield blocks of rows that fit the CPU's cache."""
    step = max(1, _IN_CACHE // n_vocab)
    for first in range(0, n_rows, step):
        yield slice(first, min(first + step, n_rows))


def row_words(n_vocab: int) -> int:
    """Return the number of 16-bit words of a row: always even."""
    return N_HEAD_WORDS + n_vocab + n_vocab % 2


def encode(rows: LogSoftmax) -> NDArray[np.uint16]:
    """Return log-probabilities in 16 bits: little-endian, (n, row_words(n_vocab))."""
    logits, peak = rows.logits, rows.peak
    n, n_vocab = logits.shape
    low = np.maximum(rows.low, peak - _DEPTH)
    scale = (peak - low) / _STEPS
    minimum = low - peak - rows.log_sum.astype(np.float32)
    flat = scale == 0
    inverse = np.float32(1) / np.where(flat, np.float32(1), scale)
    steps = np.rint(
        (np.maximum(logits, low[:, None]) - low[:, None]) * inverse[:, None]
    )
    words = np.zeros((n, row_words(n_vocab)), "<u2")
    words[:, :N_HEAD_WORDS] = np.stack([scale, minimum], 1).astype("<f4").view("<u2")
    words[:, N_HEAD_WORDS : N_HEAD_WORDS + n_vocab] = steps
    return words


def decode_heads(words: NDArray[np.uint16]) -> Floats:
    """Return scale and minimum of each row: float32, (n, 2)."""
    heads = np.ascontiguousarray(words[:, :N_HEAD_WORDS])
    return heads.view("<f4").astype(np.float32, copy=False)


def decode(words: NDArray[np.uint16], n_vocab: int) -> Floats:
    """Return the log-probabilities of 16-bit words: float32, (n, n_vocab)."""
    heads = decode_heads(words)
    steps = words[:, N_HEAD_WORDS : N_HEAD_WORDS + n_vocab].astype(np.float32)
    return heads[:, :1] * steps + heads[:, 1:]
