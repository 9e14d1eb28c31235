"""Recurrences in NumPy, float32: a part of the reference executor.

Each is written twice. The recurrent form, here, takes one row, and is what the executor
runs. `chunks.py` has the form that takes many rows at once.

Matrices S of a text are (n_head, key_dim, value_dim). A decay is given by its
logarithm, and is a head's, with one number in place of key_dim, or that of each row of
S, or of each number.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from llamacy.config import KeyHead
from llamacy.ops.batch import Batch
from llamacy.ops.reference.sequence import ReferenceSequence
from llamacy.ops.state.specs import Recurrence

Array = NDArray[np.float32]


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

    def selective_scan(
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
        x, dt = (_heads(each, state.value_dim) for each in (x, dt))
        a = a.reshape(state.n_head, state.value_dim, state.key_dim).swapaxes(1, 2)
        d = d.reshape(state.n_head, state.value_dim)
        y = np.empty_like(x)
        for row, sequence, n_tokens in self._rows_of_texts():
            matrices = sequence.matrices(state)
            y[row], matrices = selective_scan_row(
                matrices, x[row], dt[row], a, b[row], c[row], d
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


def selective_scan_row(
    matrices: Array, x: Array, dt: Array, a: Array, b: Array, c: Array, d: Array
) -> tuple[Array, Array]:
    """Take one row through the scan of Mamba (Gu & Dao 2023, arXiv:2312.00752).

    Parameters
    ----------
    matrices : float32, (n_head, key_dim, value_dim)
        S before the row.
    x, dt : float32, (n_head, value_dim)
        The row, and its steps.
    a : float32, (n_head, key_dim, value_dim)
        Logarithms of the decays of a step of 1.
    b, c : float32, (key_dim,)
        Where x is written to in S of all heads, and where the result is read.
    d : float32, (n_head, value_dim)
        Shares of x that are added to the result.

    Returns
    -------
    y : float32, (n_head, value_dim)
        The result.
    matrices : float32, (n_head, key_dim, value_dim)
        S after the row.
    """
    matrices = np.exp(dt[:, None] * a) * matrices + b[:, None] * (dt * x)[:, None]
    y: Array = np.einsum("hkd,k->hd", matrices, c) + d * x
    return y, matrices


def _read(matrices: Array, k: Array) -> Array:
    """Compute S^T k of each head: (n_head, value_dim)."""
    y: Array = np.einsum("hkd,hk->hd", matrices, k)
    return y


def _heads(x: Array, dim: int) -> Array:
    return x.reshape(len(x), -1, dim)
