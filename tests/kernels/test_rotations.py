"""Rotations, which go with the write into the KV cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.config import RopeConfig
from llamacy.ops.plan.runtime import Program
from llamacy.ops.plan.step import Step
from llamacy.ops.rope import Rope
from llamacy.ops.state.kv_pages import PAGE
from llamacy.ops.state.layout import StateSlot
from llamacy.ops.state.paged_sequence import PagedSequence
from llamacy.ops.state.pages import PagePool
from llamacy.ops.state.specs import KeyValues
from tests.support.rows import noise, whole

if TYPE_CHECKING:
    from tests.kernels.conftest import Array, Steps


def rotate(
    steps: Steps, rope: Rope, q: Array, k: Array, positions: NDArray[np.int32]
) -> tuple[Array, Array]:
    """Rotated copies of q (M, 3 heads) and k (M, 1 head); one sequence a row."""
    m, d = len(q), rope.head_dim
    program = Program(steps.table, 2)
    slot = StateSlot(KeyValues(0, 1, d, d), "f32", 0)
    pool = PagePool(PAGE, slot.spec.page_bytes("f32"))
    sequence = PagedSequence(pool)
    sequence.reserve(int(positions.max()) + 1)
    q, k, table = whole(q), whole(k), np.zeros((m, 2 * d), np.float32)
    constants = {"angles": rope.angles, "magnitude": rope.magnitude}
    constants |= {"head_dim": d, "half": rope.half, "is_dynamic": False}
    program.add(Step("rope_table", {}, {"table": table}, constants))
    reads = {"v": whole(noise(m, d)), "q_table": table, "k_table": table}
    halves = {"q_half": rope.half, "k_half": rope.half}
    append = Step(
        "append", reads, {"q": q, "k": k, "state": slot}, halves | {"n_head": 3}
    )
    program.add(append, waits=True)
    runs = [(row, 1, position) for row, position in enumerate(positions)]
    program.run(
        np.zeros(m, np.int32),
        positions,
        np.empty(0, np.int32),
        np.asarray(runs, np.int32),
        np.full(m, sequence.page_table, np.uintp),
        np.empty((0, 1), np.float32),
        2,
    )
    return q[:, : 3 * d], k[:, :d]


def rotated(x: Array, rope: Rope, positions: NDArray[np.int32]) -> NDArray[np.float64]:
    """Pairs as complex numbers, times e^(i theta)."""
    heads = x.reshape(len(x), -1, rope.head_dim).astype(np.float64)
    first, second = slice(0, rope.n_dims, 2), slice(1, rope.n_dims, 2)
    if rope.is_neox:
        half = rope.n_dims // 2
        first, second = slice(0, half), slice(half, 2 * half)
    pairs = heads[..., first] + 1j * heads[..., second]
    theta = np.float32(positions[:, None]) * rope.angles  # in float32, as trained
    pairs = pairs * (rope.magnitude * np.exp(1j * theta.astype(np.float64)))[:, None]
    heads[..., first] = pairs.real
    heads[..., second] = pairs.imag
    return heads.reshape(x.shape)


@pytest.mark.parametrize("is_neox", [False, True], ids=["adjacent", "neox"])
@pytest.mark.parametrize("head_dim", [2, 6, 8, 16, 18, 64, 80, 96, 128])
def test_rope(steps: Steps, head_dim: int, is_neox: bool) -> None:
    positions = np.array([0, 1, 2, 17, 31, 32, 1000, 4095], np.int32)
    q, k = noise(8, 3 * head_dim), noise(8, head_dim, seed=1)
    for n_dims in sorted({head_dim, head_dim // 4 * 2 or 2}):
        for magnitude in (1.0, 1.25):
            config = RopeConfig(n_dims, attn_factor=magnitude, is_neox=is_neox)
            rope = Rope.from_config(config, head_dim)
            got_q, got_k = rotate(steps, rope, q, k, positions)
            for got, x in ((got_q, q), (got_k, k)):
                want = rotated(x, rope, positions)
                np.testing.assert_allclose(got, want, rtol=0, atol=3e-6)
                kept = np.arange(x.shape[1]) % head_dim >= n_dims
                np.testing.assert_array_equal(got[:, kept], x[:, kept])
            if magnitude == 1:
                np.testing.assert_array_equal(got_q[0], q[0])


def test_rope_of_what_is_not_finite_stays_in_its_row(steps: Steps) -> None:
    rope = Rope.from_config(RopeConfig(n_dims=16), 16)
    positions = np.array([3, 4, 5], np.int32)
    q, k = noise(3, 48), noise(3, 16, seed=1)
    clean, _ = rotate(steps, rope, q, k, positions)
    q[1, 20] = np.nan
    got, _ = rotate(steps, rope, q, k, positions)
    assert np.isnan(got[1, 20:22]).all()
    assert np.isfinite(got).sum() == got.size - 2
    np.testing.assert_array_equal(got[[0, 2]], clean[[0, 2]])
