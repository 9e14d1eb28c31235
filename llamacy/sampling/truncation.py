"""Truncation samplers: each function keeps some of the candidates, at least one.

Candidates `x` are logits minus the largest logit, float64, likeliest first. A function
returns the indices of the candidates it keeps, or their number.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from llamacy.sampling.largest import largest

Logits = NDArray[np.float64]


def softmax(x: Logits) -> Logits:
    """Return the probabilities of the candidates."""
    weights = np.exp(x - x.max())
    shares: Logits = weights / weights.sum()
    return shares


def typical(x: Logits, share: float) -> NDArray[np.intp]:
    """Keep candidates of nearly the expected surprise, until they exceed `share`."""
    p = softmax(x)
    surprise = -np.log(np.maximum(p, np.finfo(np.float64).tiny))
    entropy = float((p * surprise).sum())
    order = np.argsort(np.abs(surprise - entropy), kind="stable")
    n_kept = int(p[order].cumsum().searchsorted(share, "right")) + 1
    return np.sort(order[:n_kept])


def top_p(x: Logits, share: float) -> int:
    """Count the likeliest candidates whose probabilities reach `share`."""
    return reaching(softmax(x), share)


def exclude_top(x: Logits, threshold: float) -> int:
    """Count the candidates that XTC drops: all that reach `threshold` but the last."""
    return max(int((softmax(x) >= threshold).sum()) - 1, 0)


def dynamic_temperature(
    x: Logits, temperature: float, spread: float, exponent: float
) -> float:
    """Return a temperature within `spread` of `temperature`; it rises with entropy."""
    if len(x) == 1:
        return temperature
    p = softmax(x)
    entropy = -float((p * np.log(np.maximum(p, np.finfo(np.float64).tiny))).sum())
    low = max(0.0, temperature - spread)
    # rounding may leave the range from 0 to 1
    share = min(max(entropy / math.log(len(x)), 0.0), 1.0)
    return float(low + (temperature + spread - low) * share**exponent)


def sigma_bound(logits: NDArray[np.float32], n: float) -> float:
    """Return the logit `n` standard deviations below the largest."""
    finite = logits[np.isfinite(logits)]
    return float(logits.max()) - n * float(finite.std(dtype=np.float64))


def nucleus(
    logits: NDArray[np.float32], peak: np.float32, share: float, min_p: float = 0.0
) -> NDArray[np.intp]:
    """Find the likeliest tokens of a vocabulary whose probabilities reach `share`.

    Tokens less likely than `min_p` times the likeliest may be left out: a later sampler
    would drop them anyway.
    """
    weights = np.exp(logits - peak)
    wanted = share * float(weights.sum(dtype=np.float64))
    # A nucleus is usually small: search ever more of the likeliest tokens instead of
    # sorting the vocabulary.
    k = min(64, len(logits))
    while True:
        ids = largest(logits, k)
        n_kept = reaching(weights[ids], wanted)
        # a margin, because weights are rounded
        is_past = weights[ids[-1]] < 0.999 * min_p
        if n_kept < k or k == len(logits) or is_past:
            return ids[:n_kept]
        k = min(8 * k, len(logits))


def reaching(weights: NDArray[np.floating], total: float) -> int:
    """Count the leading weights that sum to `total`; at least one."""
    sums = weights.cumsum(dtype=np.float64)
    return min(int(sums.searchsorted(total, "left")) + 1, len(weights))
