"""Matrix products alone: one linear step, for each level, weight type and row count.

A matrix is (4 * width, width), width a multiple of 256. `bytes_per_second` counts its
packed weights, `flop_per_second` one multiplication and one addition per weight and
row. Matrices that fit into the CPU's cache show the cache's speed, not the memory's.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy import kernels
from llamacy.ggml.types import GGMLType
from llamacy.kernels.levels import Level
from llamacy.kernels.packing.matrices import (
    TYPE_NAMES,
    PackedMatrix,
    pack,
    packed_bytes,
)
from llamacy.ops.plan.runtime import Program
from llamacy.ops.plan.step import Step

# A byte that makes small numbers, never NaN: as float16, bfloat16, float32 or exponent.
FILLING = 0x2C
NO_RUNS = np.empty((0, 3), np.int32)
NO_PAGES = np.empty(0, np.uintp)
NONE_WANTED = np.empty(0, np.int32)
NO_LOGITS = np.empty((0, 1), np.float32)


@pytest.mark.parametrize("rows", [1, 4, 16, 128, 512])
@pytest.mark.parametrize("type_name", TYPE_NAMES)
@pytest.mark.parametrize(
    "level",
    [each for each in kernels.available() if not each.emulated],
    ids=lambda level: level.name,
)
def test_linear(
    level: Level,
    type_name: str,
    rows: int,
    n_threads: int,
    request: pytest.FixtureRequest,
    measure: Callable[..., None],
) -> None:
    width = request.config.getoption("width")
    weight = packed_weight(type_name, 4 * width, width)
    step = linear_step(level, weight, rows, n_threads)
    measure(step, bytes=weight.nbytes, flop=2 * rows * 4 * width * width)


def packed_weight(type_name: str, n: int, k: int) -> PackedMatrix:
    ggml_type = GGMLType[type_name]
    nbytes = n * k // ggml_type.block_size * ggml_type.type_size
    data = np.full(nbytes, FILLING, np.uint8)
    size = packed_bytes(type_name, n, k)
    memory = np.zeros(size + 64, np.uint8)
    start = -memory.ctypes.data % 64  # panels begin at a multiple of 64
    return pack(type_name, data, n, k, memory[start : start + size])


def linear_step(
    level: Level, weight: PackedMatrix, rows: int, n_threads: int
) -> Callable[[], None]:
    """Prepare activations (rows, K); return a call that multiplies `weight` by them."""
    n, k = weight.shape
    table = kernels.load(level.name).table
    x = np.random.default_rng(0).standard_normal((rows, k), np.float32)
    y = np.zeros((rows, n), np.float32)
    before, step = (Program(table, n_threads) for _ in range(2))
    prepared: NDArray[np.uint8] | None = None
    if before.reads_prepared(weight):
        prepared = np.zeros(before.prepared_bytes(k, rows), np.uint8)
        constants = {"n": k, "n_digits": before.digits_read(weight)}
        before.add(Step("prepare", {"x": x}, {"prepared": prepared}, constants))
        run(before, rows, n_threads)
    reads = {"x": x, "prepared": prepared}
    step.add(Step.of("linear", reads, {"y": y}, form="store", weight=weight))
    return lambda: run(step, rows, n_threads)


def run(program: Program, rows: int, n_threads: int) -> None:
    row = np.arange(rows, dtype=np.int32)
    program.run(row, row, NONE_WANTED, NO_RUNS, NO_PAGES, NO_LOGITS, n_threads)
