"""Kernels called one step at a time, weights of every type, and the tolerances."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy import kernels
from llamacy.ggml.types import GGMLType, dequantize
from llamacy.kernels.levels import Level
from llamacy.kernels.packing.matrices import PackedMatrix, pack, packed_bytes
from llamacy.ops.plan.kernel_choice import all_digits
from llamacy.ops.plan.runtime import Program
from llamacy.ops.plan.step import Step
from tests.support.random_blocks import FACTORS, random_blocks
from tests.support.verbs import Verbs, has_tiles

Array = NDArray[np.float32]

FLOATS = ("F32", "F16", "BF16")


@cache
def has_bf16(level: str) -> bool:
    """Whether attention may be computed in bfloat16."""
    return "b_products" in Verbs(level).names


@cache
def has_fixed(level: str) -> bool:
    """Whether F16 and BF16 weights are multiplied in fixed point."""
    return "h_dots" in Verbs(level).names


def linear_tolerance(
    level: str, type_name: str, *, has_outliers: bool = False
) -> float:
    """Greatest root-mean-square error of a product, relative to its norm.

    One table for all of them. Activations are float32 where weights are float, or in
    fixed point of 14 bits where these have 16, one int8 digit for weights of 6 bits or
    less, two for Q8_0, or a second where it counts, and bfloat16 on tiles for all but
    F32. One int8 digit for 32 activations, of which one is by far the greatest,
    has a step of 1/127 of that one: an error of sqrt(31 / 12) / 127 = 0.0127 of the
    result, where the rest of K is as nothing beside it.
    """
    if type_name == "F32":
        return 1e-5
    if type_name in FLOATS:
        if has_tiles(level):
            return 0.003
        return 3e-4 if has_fixed(level) else 1e-5
    if type_name == "Q8_0":
        if Verbs(level).skips_digits:
            return 0.006
        return 0.003 if has_tiles(level) else 1e-3
    return 0.013 if has_outliers else 0.006


def buffer_of(values: Array) -> Array:
    """Copy rows of `values` into whole vectors, whose padding, NaN, must not matter."""
    rows, width = values.shape
    buffer = np.full((rows, -(-width // 16) * 16), np.nan, np.float32)
    buffer[:, :width] = values
    return buffer


class Matrix:
    """A matrix of one type, of random weights unless `data` is given.

    Attributes
    ----------
    data : uint8, (n_bytes,)
        The matrix as a file has it.
    floats : float32, (n, k)
        The values that it stands for.
    packed : PackedMatrix
        The matrix as kernels read it.
    """

    def __init__(
        self,
        type_name: str,
        n: int,
        k: int,
        seed: int = 0,
        data: NDArray[np.uint8] | None = None,
    ) -> None:
        if data is None:
            data = _random_data(type_name, n, k, np.random.default_rng(seed))
        self.type_name, self.data = type_name, data
        self.floats = dequantize(self.data, GGMLType[type_name], (n, k))
        self.packed = self.pack()

    def pack(self, n_threads: int = 1) -> PackedMatrix:
        """Pack it anew."""
        n, k = self.floats.shape
        out = panels(packed_bytes(self.type_name, n, k))
        return pack(self.type_name, self.data, n, k, out, n_threads)


def panels(nbytes: int) -> NDArray[np.uint8]:
    """Make aligned memory for packed weights; not zeros, which would hide omissions."""
    memory = np.full(nbytes + 64, 0xA5, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + nbytes]


def _random_data(
    type_name: str, n: int, k: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    if type_name not in FACTORS:
        weights = rng.standard_normal((n, k), dtype=np.float32)
        ggml_type = gguf.GGMLQuantizationType[type_name]
        data = np.ascontiguousarray(gguf.quants.quantize(weights, ggml_type))
        return data.view(np.uint8).reshape(-1)
    n_blocks = n * k // GGMLType[type_name].block_size
    return random_blocks(type_name, n_blocks, rng).reshape(-1)


@pytest.fixture(scope="session", name="panels")
def _panels() -> Callable[[int], NDArray[np.uint8]]:
    """Make memory for packed weights, of a number of bytes."""
    return panels


@pytest.fixture(scope="session")
def matrix() -> Callable[..., Matrix]:
    """Make a Matrix of (type_name, n, k, seed=0); each only once."""
    return cache(Matrix)


@pytest.fixture(scope="session")
def matrix_of() -> Callable[[str, NDArray[np.uint8]], Matrix]:
    """Make a Matrix whose rows are a block each, of (type_name, blocks)."""

    def make(type_name: str, blocks: NDArray[np.uint8]) -> Matrix:
        k = GGMLType[type_name].block_size
        return Matrix(type_name, len(blocks), k, data=blocks.reshape(-1))

    return make


class Steps:
    """Programs of one step at one level, on buffers of their own."""

    def __init__(self, level: Level) -> None:
        self.level = level.name
        self.has_bf16 = has_bf16(level.name)
        self.has_tiles = has_tiles(level.name)
        self.has_fixed = has_fixed(level.name)
        self.skips_digits = Verbs(level.name).skips_digits
        self.table = kernels.load(level.name).table

    def program(self, n_threads: int = 1) -> Program:
        """Return a program without steps."""
        return Program(self.table, n_threads)

    def run(
        self,
        program: Program,
        n_rows: int,
        n_threads: int = 1,
        *,
        tokens: NDArray[np.int32] | None = None,
        positions: NDArray[np.int32] | None = None,
        wanted: NDArray[np.int32] | None = None,
    ) -> None:
        """Run a program without a KV cache."""
        rows = np.arange(n_rows, dtype=np.int32)
        program.run(
            rows if tokens is None else tokens,
            rows if positions is None else positions,
            rows if wanted is None else wanted,
            np.empty((0, 3), np.int32),
            np.empty(0, np.uintp),
            np.empty((n_rows, 1), np.float32),
            n_threads,
        )

    def embedding(self, weight: PackedMatrix, tokens: list[int]) -> Array:
        """Rows of `weight`, (n_tokens, k)."""
        k = weight.shape[1]
        y = buffer_of(np.zeros((len(tokens), k), np.float32))
        program = self.program()
        program.add(Step("embedding", {}, {"y": y}, {"weight": weight}))
        self.run(program, len(tokens), tokens=np.asarray(tokens, np.int32))
        return y[:, :k]

    def linear(
        self,
        x: Array,
        weight: Matrix,
        *,
        form: str = "store",
        scale: Array | None = None,
        bias: Array | None = None,
        weight2: Matrix | None = None,
        scale2: Array | None = None,
        bias2: Array | None = None,
        before: Array | None = None,
        n_threads: int = 1,
    ) -> Array:
        """Prepare x and multiply, (M, N); `before` is what y held."""
        (m, k), n = x.shape, len(weight.floats)
        y = buffer_of(np.zeros((m, n), np.float32) if before is None else before)
        program, x = self.program(n_threads), buffer_of(x)
        n_digits = all_digits(
            program.digits_read(w.packed) for w in (weight, weight2) if w
        )
        prepared, after = None, np.empty(0, np.uint8)
        if n_digits:
            nbytes = program.prepared_bytes(k, m)
            memory = np.full(nbytes + 64, 0xA5, np.uint8)
            prepared, after = memory[:nbytes], memory[nbytes:]
            constants = {"n": k, "n_digits": n_digits}
            program.add(Step("prepare", {"x": x}, {"prepared": prepared}, constants))
        step = Step.of(
            "linear",
            {"x": x, "prepared": prepared},
            {"y": y},
            form=form,
            weight=weight.packed,
            scale=scale,
            bias=bias,
            weight2=weight2.packed if weight2 else None,
            scale2=scale2,
            bias2=bias2,
        )
        program.add(step, waits=True)
        self.run(program, m, n_threads)
        assert np.isnan(y[:, n:]).all(), "wrote past the end of its rows"
        assert (after == 0xA5).all(), "wrote past the end of prepared rows"
        return y[:, :n]

    def prepare(self, x: Array, n_digits: int, fill: int) -> NDArray[np.uint8]:
        """Return x prepared in memory that was full of `fill`."""
        (m, k), program = x.shape, self.program()
        prepared = np.full(program.prepared_bytes(k, m), fill, np.uint8)
        step = Step(
            "prepare",
            {"x": buffer_of(x)},
            {"prepared": prepared},
            {"n": k, "n_digits": n_digits},
        )
        program.add(step)
        self.run(program, m)
        return prepared


@pytest.fixture(scope="session")
def steps(level: Level) -> Steps:
    """Kernels of each level."""
    return Steps(level)


@pytest.fixture
def kv_type(request: pytest.FixtureRequest, steps: Steps) -> str:
    """Each type of a cache in turn; rounded ones where a level has bfloat16.

    Elsewhere they are as the others: see `test_only_what_may_be_rounded_is`. Levels
    that share another's code are left out: avx2_vnni differs from avx2 in dot products
    of bytes alone, and tiles multiply only what is rounded. Scalar, by far the slowest,
    has int8 caches alone, which take the most code.
    """
    kind: str = request.param
    if steps.level == "avx2_vnni":
        pytest.skip("attends with the code of avx2")
    if steps.level == "scalar" and kind != "q8_0":
        pytest.skip("slow, and the code of other levels with other verbs")
    if steps.has_tiles and not kind.endswith("rounded"):
        pytest.skip("attends with the code of avx512_bf16")
    if kind.endswith("rounded") and not steps.has_bf16:
        pytest.skip("nothing is rounded here")
    return kind


@pytest.fixture(scope="session")
def steps_of() -> Callable[[str], Steps]:
    """Kernels of the level of that name."""
    by_name = {each.name: each for each in kernels.LEVELS}
    return lambda name: Steps(by_name[name])


@pytest.fixture(scope="session")
def tolerance() -> Callable[..., float]:
    """The table of tolerances."""
    return linear_tolerance


@pytest.fixture(scope="session")
def relative_error() -> Callable[[NDArray[Any], NDArray[Any]], float]:
    """Root-mean-square error over root mean square."""

    def measure(got: NDArray[Any], want: NDArray[Any]) -> float:
        assert got.shape == want.shape
        want = np.asarray(want, np.float64)
        return float(np.linalg.norm(got - want) / np.linalg.norm(want))

    return measure
