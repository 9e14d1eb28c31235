"""Which tokens may be drawn: each function keeps some of the candidates.

Candidates come likeliest first, as logits less the largest, float64; a function
returns the indices, or the number, of those it keeps, at least one.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from llamacy.sampling.largest import largest

Logits = NDArray[np.float64]


def softmax(x: Logits) -> Logits:
    """Probabilities of the candidates."""
    weights = np.exp(x - x.max())
    shares: Logits = weights / weights.sum()
    return shares


def typical(x: Logits, share: float) -> NDArray[np.intp]:
    """Those nearest to the expected surprise, until together they exceed `share`."""
    p = softmax(x)
    surprise = -np.log(np.maximum(p, np.finfo(np.float64).tiny))
    entropy = float((p * surprise).sum())
    order = np.argsort(np.abs(surprise - entropy), kind="stable")
    n_kept = int(p[order].cumsum().searchsorted(share, "right")) + 1
    return np.sort(order[:n_kept])


def top_p(x: Logits, share: float) -> int:
    """Count the likeliest that reach the probability `share`."""
    return reaching(softmax(x), share)


def exclude_top(x: Logits, threshold: float) -> int:
    """Count those to drop: as likely as `threshold`, but for the last of them (XTC)."""
    return max(int((softmax(x) >= threshold).sum()) - 1, 0)


def dynamic_temperature(
    x: Logits, temperature: float, spread: float, exponent: float
) -> float:
    """Temperature between ``temperature - spread`` and ``+ spread``, by the entropy."""
    if len(x) == 1:
        return temperature
    p = softmax(x)
    entropy = -float((p * np.log(np.maximum(p, np.finfo(np.float64).tiny))).sum())
    low = max(0.0, temperature - spread)
    share = min(max(entropy / math.log(len(x)), 0.0), 1.0)  # may round to beyond
    return float(low + (temperature + spread - low) * share**exponent)


def sigma_bound(logits: NDArray[np.float32], n: float) -> float:
    """Smallest logit at most `n` standard deviations below the largest."""
    finite = logits[np.isfinite(logits)]
    return float(logits.max()) - n * float(finite.std(dtype=np.float64))


def nucleus(
    logits: NDArray[np.float32], peak: np.float32, share: float, min_p: float = 0.0
) -> NDArray[np.intp]:
    """Likeliest tokens of a whole vocabulary that reach the probability `share`.

    Some of those less likely than `min_p` times the likeliest may be missing.
    """
    weights = np.exp(logits - peak)
    wanted = share * float(weights.sum(dtype=np.float64))
    # A nucleus is small as a rule: look for it among ever more of the likeliest
    # instead of sorting the vocabulary.
    k = min(64, len(logits))
    while True:
        ids = largest(logits, k)
        n_kept = reaching(weights[ids], wanted)
        # a little less, because a weight is rounded
        is_past = weights[ids[-1]] < 0.999 * min_p
        if n_kept < k or k == len(logits) or is_past:
            return ids[:n_kept]
        k = min(8 * k, len(logits))


def reaching(weights: NDArray[np.floating], total: float) -> int:
    """How many leading weights sum to `total`; at least one."""
    sums = weights.cumsum(dtype=np.float64)
    return min(int(sums.searchsorted(total, "left")) + 1, len(weights))
