"""Recurrences in NumPy, float32: a part of the reference executor.

Each is written twice. The recurrent form takes one row, and is what the executor runs.
The chunked form takes many rows as products of matrices, as transformers does with
prompts, 64 rows at a time: the same numbers but for rounding. It is there to show that
either may be used.

Matrices S of a text are (n_head, key_dim, value_dim); in the shapes below T is a number
of rows of one text. A decay is given by its logarithm, and is a head's, with one number
in place of key_dim, or that of each row of S.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llamacy.config import KeyHead
from llamacy.ops.batch import Batch
from llamacy.ops.reference.sequence import ReferenceSequence
from llamacy.ops.state.specs import Recurrence

Array = NDArray[np.float32]

CHUNK: Final = 64
"""Rows of a chunk, as in transformers."""


class Recurrences:
    """The operations whose state is a matrix for each head."""

    batch: Batch

    def delta_rule(
        self,
        q: Array,
        k: Array,
        v: Array,
        decay: Array,
        beta: Array,
        *,
        state: Recurrence,
        key_head: KeyHead,
    ) -> Array:
        q, k = (_heads(x, state.key_dim) for x in (q, k))
        of_values = np.arange(state.n_head)
        n_key_head = q.shape[1]
        if key_head == "modulo":
            of_keys = of_values % n_key_head
        else:
            of_keys = of_values // (state.n_head // n_key_head)
        v, decay = _heads(v, state.value_dim), decay.reshape(len(v), state.n_head, -1)
        y = np.empty_like(v)
        for row, sequence, n_tokens in self._rows_of_texts():
            y[row], matrices = delta_rule_row(
                sequence.matrices(state),
                q[row, of_keys],
                k[row, of_keys],
                v[row],
                decay[row],
                beta[row],
            )
            sequence.keep_matrices(state, n_tokens, matrices)
        return y.reshape(len(y), -1)

    def ssm_scan(
        self,
        x: Array,
        dt: Array,
        b: Array,
        c: Array,
        *,
        a: Array,
        d: Array,
        state: Recurrence,
    ) -> Array:
        x = _heads(x, state.value_dim)
        b, c = (_heads(each, state.key_dim) for each in (b, c))
        of_groups = np.arange(state.n_head) // (state.n_head // b.shape[1])
        y = np.empty_like(x)
        for row, sequence, n_tokens in self._rows_of_texts():
            y[row], matrices = ssm_scan_row(
                sequence.matrices(state),
                x[row],
                dt[row],
                a,
                b[row, of_groups],
                c[row, of_groups],
                d,
            )
            sequence.keep_matrices(state, n_tokens, matrices)
        return y.reshape(len(y), -1)

    def _rows_of_texts(self) -> Iterator[tuple[int, ReferenceSequence, int]]:
        """Yield each row's number, its sequence, and how many tokens that then has."""
        for row, sequence in enumerate(self.batch.sequences):
            assert isinstance(sequence, ReferenceSequence)
            yield row, sequence, int(self.batch.positions[row]) + 1


def delta_rule_row(
    matrices: Array, q: Array, k: Array, v: Array, decay: Array, beta: Array
) -> tuple[Array, Array]:
    """Take one row through the gated delta rule (Yang et al. 2024, arXiv:2412.06464).

    Parameters
    ----------
    matrices : float32, (n_head, key_dim, value_dim)
        S before the row.
    q, k : float32, (n_head, key_dim)
        Its query and key of each head.
    v : float32, (n_head, value_dim)
        Its values.
    decay : float32, (n_head, 1) or (n_head, key_dim)
        Logarithms of what S is multiplied by.
    beta : float32, (n_head,)
        Shares of the difference to what S says that are added.

    Returns
    -------
    y : float32, (n_head, value_dim)
        The answer of S to the query after the row.
    matrices : float32, (n_head, key_dim, value_dim)
        S after the row.
    """
    matrices = np.exp(decay)[..., None] * matrices
    delta = beta[:, None] * (v - _read(matrices, k))
    matrices = matrices + k[..., None] * delta[:, None]
    return _read(matrices, q), matrices


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


def ssm_scan_row(
    matrices: Array, x: Array, dt: Array, a: Array, b: Array, c: Array, d: Array
) -> tuple[Array, Array]:
    """Take one row through the scan of Mamba-2 (Dao & Gu 2024, arXiv:2405.21060).

    Parameters
    ----------
    matrices : float32, (n_head, key_dim, value_dim)
        S before the row.
    x : float32, (n_head, value_dim)
        The row.
    dt : float32, (n_head,)
        Its step.
    a, d : float32, (n_head,)
        Logarithm of the decay of a step of 1; share of x that is added to the result.
    b, c : float32, (n_head, key_dim)
        Where x is written to in S, and where the result is read.

    Returns
    -------
    y : float32, (n_head, value_dim)
        The result.
    matrices : float32, (n_head, key_dim, value_dim)
        S after the row.
    """
    decay = np.exp(dt * a)[:, None, None]
    matrices = decay * matrices + b[..., None] * (dt[:, None] * x)[:, None]
    return _read(matrices, c) + d[:, None] * x, matrices


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


def _read(matrices: Array, k: Array) -> Array:
    """Compute S^T k of each head: (n_head, value_dim)."""
    y: Array = np.einsum("hkd,hk->hd", matrices, k)
    return y


def _heads(x: Array, dim: int) -> Array:
    return x.reshape(len(x), -1, dim)
