"""Recurrences over many rows at once, in NumPy: the chunked forms.

transformers takes prompts in this form, as products of matrices, 64 rows at a time: the
same numbers as row by row, but for rounding. It is there to show that either may be
used. In the shapes below T is a number of rows of one text.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

CHUNK: Final = 64
"""Rows of a chunk, as in transformers."""


def delta_rule_chunks(
    matrices: Array, q: Array, k: Array, v: Array, decay: Array, beta: Array
) -> tuple[Array, Array]:
    """Take many rows through it: the arguments of `delta_rule_row`, (T, ...) each.

    A chunk adds `k[i] delta[i]^T` of each row i to S, decayed by the rows after it. Its
    deltas solve `(1 + L) delta = beta (v - S^T k)`, where S is that before the chunk,
    decayed, and `L[i, j] = beta[i] k[i] . k[j]`, decayed by rows j + 1 to i, is what
    row i finds there of an earlier row j.
    """
    out = np.empty_like(v)
    for first in range(0, len(v), CHUNK):
        rows = slice(first, first + CHUNK)
        decays = _Decays(decay[rows])
        read = np.einsum("thk,hkd->thd", decays.before * k[rows], matrices)
        delta = beta[rows, :, None] * (v[rows] - read)
        found = _products(k[rows], k[rows], decays)
        found *= beta[rows].T[..., None]
        for i in range(1, len(delta)):
            delta[i] -= np.einsum("hj,jhd->hd", found[:, i, :i], delta[:i])
        out[rows], matrices = _leave_chunk(matrices, q[rows], k[rows], delta, decays)
    return out, matrices


def ssm_scan_chunks(
    matrices: Array, x: Array, dt: Array, a: Array, b: Array, c: Array, d: Array
) -> tuple[Array, Array]:
    """Take many rows through it: the arguments of `ssm_scan_row`, (T, ...) but a, d."""
    out = np.empty_like(x)
    for first in range(0, len(x), CHUNK):
        rows = slice(first, first + CHUNK)
        decays = _Decays((dt[rows] * a)[..., None])
        added = dt[rows, :, None] * x[rows]
        y, matrices = _leave_chunk(matrices, c[rows], b[rows], added, decays)
        out[rows] = y + d[:, None] * x[rows]
    return out, matrices


def selective_scan_chunks(
    matrices: Array, x: Array, dt: Array, a: Array, b: Array, c: Array, d: Array
) -> tuple[Array, Array]:
    """Take many rows through it: the arguments of its row, (T, ...) but a and d."""
    out = np.empty_like(x)
    for first in range(0, len(x), CHUNK):
        rows = slice(first, first + CHUNK)
        steps = np.cumsum(dt[rows], axis=0, dtype=np.float64)[:, :, None]
        between = (steps[:, None] - steps) * a
        between[np.triu_indices(len(steps), 1)] = -np.inf
        added = np.exp(between).astype(np.float32)  # by row j, as row i reads it
        added *= b[rows, None, :, None] * (dt[rows] * x[rows])[:, :, None]
        read = np.exp(steps * a).astype(np.float32) * matrices + added.sum(axis=1)
        out[rows] = np.einsum("thkd,tk->thd", read, c[rows]) + d * x[rows]
        matrices = read[-1]
    return out, matrices


def _leave_chunk(
    matrices: Array, q: Array, k: Array, added: Array, decays: _Decays
) -> tuple[Array, Array]:
    """Read S for each row of a chunk that adds `k added^T`, and return it after it."""
    y = np.einsum("thk,hkd->thd", decays.before * q, matrices)
    y += np.einsum("hij,jhd->ihd", _products(q, k, decays), added)
    matrices = decays.before[-1, ..., None] * matrices
    return y, matrices + np.einsum("thk,thd->hkd", decays.after * k, added)


class _Decays:
    """Decays within a chunk, from their logarithms (T, n_head, n).

    They are added up in float64: differences of long sums are small.

    Attributes
    ----------
    before : float32, (T, n_head, n)
        Of S before the chunk, when row i reads it.
    between : float32, (T, T, n_head, n)
        Of the addition of row j, when row i reads it; 0 for rows before j.
    after : float32, (T, n_head, n)
        Of the addition of row i, at the end of the chunk.
    """

    def __init__(self, decay: Array) -> None:
        sums = np.cumsum(decay, axis=0, dtype=np.float64)
        between = sums[:, None] - sums[None]
        between[np.triu_indices(len(sums), 1)] = -np.inf
        self.before, self.between, self.after = (
            np.exp(each).astype(np.float32) for each in (sums, between, sums[-1] - sums)
        )


def _products(x: Array, y: Array, decays: _Decays) -> Array:
    """Multiply rows of x with those of y, decayed: (n_head, T, T)."""
    if decays.between.shape[-1] == 1:
        products: Array = np.einsum("ihk,jhk->hij", x, y)
        return products * decays.between[..., 0].transpose(2, 0, 1)
    decayed: Array = np.einsum("ihk,jhk,ijhk->hij", x, y, decays.between)
    return decayed
