"""Finding the largest of many values without sorting all of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_GROUP = 128  # most logits whose maximum is taken at once
_FEW = 2**14  # logits that are looked through sooner than some groups of them are found


def largest(logits: NDArray[np.floating], k: int) -> NDArray[np.intp]:
    """Find the `k` largest values.

    Parameters
    ----------
    logits : float32 or float64, (n,)
        Values without NaN.
    k : int
        1 to n.

    Returns
    -------
    intp, (k,)
        Their indices, largest value first, and equal values by rising index.
    """
    width = min(_GROUP, len(logits) // (4 * k))
    ids = _promising(logits, k, width) if width >= 8 else np.arange(len(logits))
    values = logits[ids]
    if len(ids) > 8 * k:  # too many to sort
        bound = np.partition(values, len(values) - k)[len(values) - k]
        above = np.flatnonzero(values > bound)
        equal = np.flatnonzero(values == bound)[: k - len(above)]
        ids = ids[np.sort(np.concatenate((above, equal)))]
        values = logits[ids]
    return ids[np.argsort(-values, kind="stable")[:k]]


def _promising(logits: NDArray[np.floating], k: int, width: int) -> NDArray[np.intp]:
    """Find the `k` largest values and a few more; return their indices, rising.

    The values are cut into groups of `width`. At least `k` values reach the k-th
    largest of the groups' maxima; searching only the groups that reach this bound is
    many times faster than partitioning a whole vocabulary. A group is a column of
    `rows`, because NumPy compares whole rows with vector instructions.
    """
    n_groups = len(logits) // width
    end = n_groups * width
    rows = logits[:end].reshape(width, n_groups)
    maxima = rows.max(axis=0)
    bound = np.partition(maxima, n_groups - k)[n_groups - k]
    if len(logits) <= _FEW:
        return np.flatnonzero(logits >= bound)
    reaching = np.flatnonzero(maxima >= bound)
    row, column = np.nonzero(rows[:, reaching] >= bound)
    rest = np.flatnonzero(logits[end:] >= bound)
    return np.concatenate((row * n_groups + reaching[column], end + rest))
