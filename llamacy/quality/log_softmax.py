"""From logits to log-probabilities, and from those to 16 bits and back.

Kept to 16 bits, a row of log-probabilities is two float32, scale and minimum, and a
uint16 for each token: ``scale * q + minimum``. What is more than 16 below the likeliest
is taken as exactly that: at most 1e-7 of its probability. The arithmetic is float32
where llama.cpp's is, so that the bits are the same. Source: `log_softmax` of its
`tools/perplexity/perplexity.cpp`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import ModelOutputError

Floats = NDArray[np.float32]

N_HEAD_WORDS = 4
"""Words of 16 bits before the tokens': two float32."""

_DEPTH = np.float32(16)  # natural logarithm of what is told from nothing
_STEPS = np.float32(65535)
_IN_CACHE = 1 << 16  # floats: a block's temporaries stay in the cache


class LogSoftmax(NamedTuple):
    """Rows of logits, and what makes log-probabilities of them.

    Attributes
    ----------
    logits : float32, (n, n_vocab).
    peak, low : float32, (n,), the largest and the smallest of each row.
    log_sum : float64, (n,), logarithm of the sum of ``exp(logits - peak)``.
    """

    logits: Floats
    peak: Floats
    low: Floats
    log_sum: NDArray[np.float64]

    @classmethod
    def of(cls, logits: Floats) -> LogSoftmax:
        """Prepare some rows.

        Raises
        ------
        ModelOutputError : one has NaN or infinity.
        """
        peak, low = logits.max(axis=1), logits.min(axis=1)
        if not (np.isfinite(peak).all() and np.isfinite(low).all()):
            raise ModelOutputError("a logit is not finite: the weights are broken")
        weights = np.exp(logits - peak[:, None])
        return cls(logits, peak, low, np.log(weights.sum(axis=1, dtype=np.float64)))

    def nll(self, tokens: NDArray[np.int32]) -> NDArray[np.float64]:
        """Negative log-likelihoods of `tokens`, one a row: float64, (n,)."""
        chosen = np.take_along_axis(self.logits, tokens[:, None], axis=1)[:, 0]
        return self.log_sum - (chosen - self.peak)

    def log_probs(self) -> Floats:
        """Log-probabilities: float32, (n, n_vocab)."""
        total = self.peak + self.log_sum.astype(np.float32)
        return self.logits - total[:, None]


def in_blocks(n_rows: int, n_vocab: int) -> Iterator[slice]:
    """Cut rows into blocks that are worked on together."""
    step = max(1, _IN_CACHE // n_vocab)
    for first in range(0, n_rows, step):
        yield slice(first, min(first + step, n_rows))


def row_words(n_vocab: int) -> int:
    """Words of 16 bits that a row takes: an even number."""
    return N_HEAD_WORDS + n_vocab + n_vocab % 2


def encode(rows: LogSoftmax) -> NDArray[np.uint16]:
    """Put log-probabilities into 16 bits: little-endian, (n, row_words(n_vocab))."""
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
    """Scale and minimum of each row: float32, (n, 2)."""
    heads = np.ascontiguousarray(words[:, :N_HEAD_WORDS])
    return heads.view("<f4").astype(np.float32, copy=False)


def decode(words: NDArray[np.uint16], n_vocab: int) -> Floats:
    """Log-probabilities from 16 bits: float32, (n, n_vocab)."""
    heads = decode_heads(words)
    steps = words[:, N_HEAD_WORDS : N_HEAD_WORDS + n_vocab].astype(np.float32)
    return heads[:, :1] * steps + heads[:, 1:]
