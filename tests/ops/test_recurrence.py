"""The recurrent and the chunked form of each recurrence are the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.ops.reference.chunks import (
    CHUNK,
    delta_rule_chunks,
    selective_scan_chunks,
    ssm_scan_chunks,
)
from llamacy.ops.reference.recurrence import (
    delta_rule_row,
    selective_scan_row,
    ssm_scan_row,
)

Array = NDArray[np.float32]

N_HEAD, KEY_DIM, VALUE_DIM = 3, 16, 8
LENGTHS = (1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK - 20)


def noise(*shape: int) -> Array:
    return np.random.default_rng(len(shape)).standard_normal(shape, dtype=np.float32)


def row_by_row(
    take: Callable[..., tuple[Array, Array]], matrices: Array, rows: list[list[Array]]
) -> tuple[Array, Array]:
    results = []
    for row in rows:
        y, matrices = take(matrices, *row)
        results.append(y)
    return np.array(results), matrices


def assert_close(found: tuple[Array, Array], wanted: tuple[Array, Array]) -> None:
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6 * np.abs(b).max(), rtol=0)


@pytest.mark.parametrize("n_decays", [1, KEY_DIM])
@pytest.mark.parametrize("n_rows", LENGTHS)
@pytest.mark.parametrize("strength", [0.1, 20.0])
def test_delta_rule(n_rows: int, n_decays: int, strength: float) -> None:
    q, k = noise(n_rows, N_HEAD, KEY_DIM), noise(n_rows, N_HEAD, KEY_DIM, 1)[..., 0]
    k = k / np.linalg.norm(k, axis=-1, keepdims=True)
    v = noise(n_rows, N_HEAD, VALUE_DIM)
    decay = -np.float32(strength) * np.abs(noise(n_rows, N_HEAD, n_decays))
    beta = np.reciprocal(1 + np.exp(noise(n_rows, N_HEAD)))
    start = noise(N_HEAD, KEY_DIM, VALUE_DIM)
    rows: list[Any] = list(zip(q, k, v, decay, beta, strict=True))
    assert_close(
        delta_rule_chunks(start, q, k, v, decay, beta),
        row_by_row(delta_rule_row, start, rows),
    )


@pytest.mark.parametrize("n_rows", LENGTHS)
@pytest.mark.parametrize("strength", [0.1, 20.0])
def test_ssm_scan(n_rows: int, strength: float) -> None:
    x, d = noise(n_rows, N_HEAD, VALUE_DIM), noise(N_HEAD)
    dt, a = np.abs(noise(n_rows, N_HEAD)), -np.float32(strength) * np.abs(d)
    b, c = noise(n_rows, N_HEAD, KEY_DIM), noise(n_rows, N_HEAD, KEY_DIM, 1)[..., 0]
    start = noise(N_HEAD, KEY_DIM, VALUE_DIM)
    rows: list[Any] = [[*r[:2], a, *r[2:], d] for r in zip(x, dt, b, c, strict=True)]
    assert_close(
        ssm_scan_chunks(start, x, dt, a, b, c, d),
        row_by_row(ssm_scan_row, start, rows),
    )


@pytest.mark.parametrize("n_rows", LENGTHS)
@pytest.mark.parametrize("strength", [0.1, 20.0])
def test_selective_scan(n_rows: int, strength: float) -> None:
    x, d = noise(n_rows, N_HEAD, VALUE_DIM), noise(N_HEAD, VALUE_DIM)
    dt = np.abs(noise(n_rows, N_HEAD, VALUE_DIM, 1)[..., 0])
    a = -np.float32(strength) * np.abs(noise(N_HEAD, KEY_DIM, VALUE_DIM))
    b, c = noise(n_rows, KEY_DIM), noise(n_rows, KEY_DIM, 1)[..., 0]
    start = noise(N_HEAD, KEY_DIM, VALUE_DIM)
    rows: list[Any] = [[*r[:2], a, *r[2:], d] for r in zip(x, dt, b, c, strict=True)]
    assert_close(
        selective_scan_chunks(start, x, dt, a, b, c, d),
        row_by_row(selective_scan_row, start, rows),
    )
