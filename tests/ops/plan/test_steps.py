"""An array of steps that grows, and keeps what it works on alive."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy import kernels
from llamacy.kernels.packing.matrices import PackedMatrix
from llamacy.ops.plan.runtime import Program
from llamacy.ops.plan.steps import Steps

ROWS = 3


def program(n_threads: int = 2) -> Program:
    table = kernels.load(kernels.selected().name).table
    return Program(table, n_threads, "f32", 1, 1, 16)


def run(steps: Program, n_threads: int) -> None:
    rows = np.arange(ROWS, dtype=np.int32)
    runs, pages = np.empty((0, 3), np.int32), np.empty(0, np.uintp)
    steps.run(rows, rows, rows, runs, pages, np.empty((ROWS, 1), np.float32), n_threads)


def numbers() -> NDArray[np.float32]:
    return np.arange(ROWS * 16, dtype=np.float32).reshape(ROWS, 16)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_steps_may_be_added_after_a_run(n_threads: int) -> None:
    steps, x = program(), numbers()
    for n_steps in range(1, 100):
        steps.add(x, numbers(), x, waits=True)
        before = x.copy()
        run(steps, n_threads)
        np.testing.assert_array_equal(x, before + n_steps * numbers())


def test_buffers_live_as_long_as_the_steps() -> None:
    steps, y = program(), np.zeros((ROWS, 16), np.float32)
    steps.copy(numbers(), 16, y)
    gc.collect()
    run(steps, 1)
    np.testing.assert_array_equal(y, numbers())


def test_what_is_no_matrix_is_refused() -> None:
    with pytest.raises(TypeError, match=PackedMatrix.__name__):
        program().reads_prepared(np.zeros((16, 16), np.float32))  # type: ignore[arg-type]


@pytest.mark.parametrize(("kv_type", "nbytes"), [("f32", 4), ("f16", 2), ("q8_0", 1)])
def test_a_layer_takes_its_elements_and_their_scales(kv_type: str, nbytes: int) -> None:
    table = kernels.load(kernels.selected().name).table
    head_dim, n_head_kv = 64, 3
    scales = 2 * 4 if kv_type == "q8_0" else 0  # a float for each 32 dimensions
    want = 2 * 32 * n_head_kv * (head_dim * nbytes + scales)
    assert Steps(table, 1, kv_type, 6, n_head_kv, head_dim).layer_bytes == want


@pytest.mark.parametrize("n_threads", [0, 3])
def test_threads_that_there_is_no_scratch_for(n_threads: int) -> None:
    with pytest.raises(ValueError, match="n_threads: wanted 1 to 2, found"):
        run(program(), n_threads)
