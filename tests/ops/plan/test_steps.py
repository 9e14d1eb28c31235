"""An array of steps that grows, and keeps what it works on alive."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy import kernels
from llamacy.kernels.levels import Level
from llamacy.kernels.packing.matrices import PackedMatrix
from llamacy.ops.plan.lowering import Lowering
from llamacy.ops.plan.recorder import Node
from llamacy.ops.plan.runtime import Program
from llamacy.ops.plan.step import Step
from llamacy.ops.state.layout import StateLayout
from llamacy.ops.vocabulary import ELEMENTWISE

ROWS = 3


def program(n_threads: int = 2) -> Program:
    table = kernels.load(kernels.selected().name).table
    return Program(table, n_threads)


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
        steps.add(Step("add", {"x": x, "y": numbers()}, {"z": x}), waits=True)
        before = x.copy()
        run(steps, n_threads)
        np.testing.assert_array_equal(x, before + n_steps * numbers())


def test_buffers_live_as_long_as_the_steps() -> None:
    steps, y = program(), np.zeros((ROWS, 16), np.float32)
    steps.add(Step("copy", {"x": numbers()}, {"y": y}, {"n": 16}))
    gc.collect()
    run(steps, 1)
    np.testing.assert_array_equal(y, numbers())


def test_what_is_no_matrix_is_refused() -> None:
    with pytest.raises(TypeError, match=PackedMatrix.__name__):
        program().reads_prepared(np.zeros((16, 16), np.float32))


def test_kinds_of_steps_that_there_are_not() -> None:
    with pytest.raises(ValueError, match="op: wanted a kind of step .* found 'sub'"):
        program().add(Step("sub", {}, {}))


def test_an_operation_without_a_step_is_refused() -> None:
    node = Node("cube", (), 16, True, {})
    layout = StateLayout([], "f32")
    with pytest.raises(ValueError, match="op: wanted one of ELEMENTWISE.*found 'cube'"):
        Lowering([node], node, program(), layout, n_batch=4).lower()


@pytest.mark.parametrize("op", ELEMENTWISE)
def test_every_elementwise_operation_has_a_kernel(level: Level, op: str) -> None:
    operands = {"x": numbers(), "y": numbers()}
    step = Step(op, operands, operands | {"z": numbers()}, {"n": 16})
    Program(kernels.load(level.name).table, 1).add(step)


@pytest.mark.parametrize("n_threads", [0, 3])
def test_threads_that_there_is_no_scratch_for(n_threads: int) -> None:
    with pytest.raises(ValueError, match="n_threads: wanted 1 to 2, found"):
        run(program(), n_threads)
