"""Packing keeps every weight: what kernels read back is what the file said."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.ggml.types import GGMLType
from llamacy.kernels.packing.matrices import (
    TYPE_NAMES,
    pack,
    pack_experts,
    packed_bytes,
)

if TYPE_CHECKING:
    from tests.kernels.conftest import Matrix, Steps

MakeMatrix = Callable[..., "Matrix"]

# Forms larger than the file's, or with scales of many columns, in bits a weight. Codes
# of 2, 3 or 4 bits take the place of codebooks' indices and of base 3; 4 bits of scales
# go with 16 columns or 8 with 32, and a factor of 16 bits with 256. The last three are
# as large as in the file.
BITS = {
    "IQ2_XXS": 3 + 8 / 32 + 16 / 256,
    "IQ2_XS": 3 + 8 / 32 + 16 / 256,
    "IQ2_S": 3 + 8 / 32 + 16 / 256,
    "IQ3_XXS": 4 + 8 / 32 + 16 / 256,
    "IQ3_S": 4 + 8 / 32 + 16 / 256,
    "IQ1_S": 2 + 8 / 32 + 16 / 256,
    "IQ1_M": 3 + 8 / 32 + 16 / 256,
    "TQ1_0": 2 + 16 / 256,
    "TQ2_0": 2 + 16 / 256,
    "Q1_0": 1 + 16 / 128,
    "Q2_0": 2 + 16 / 64,
    "NVFP4": 4 + 8 / 16,
}
# They stand for products that float32 holds exactly, in any order.
EXACT = ("F32", "F16", "BF16", *BITS)
each_type = pytest.mark.parametrize("type_name", TYPE_NAMES)


def sizes(type_name: str) -> list[tuple[int, int]]:
    """Shapes (n, k) with every kind of tail the type may have."""
    block = GGMLType[type_name].block_size
    odd = [(3, 1), (16, 5), (18, 33)] if block == 1 else []
    return [(1, block), (16, 3 * block), (17, 9 * block), (37, 2 * block), *odd]


def test_every_type_of_the_formats() -> None:
    assert set(TYPE_NAMES) == {each.name for each in GGMLType}


@each_type
def test_rows_come_back(steps: Steps, matrix: MakeMatrix, type_name: str) -> None:
    for n, k in sizes(type_name):
        weights = matrix(type_name, n, k)
        tokens = [*range(n), 0, n - 1, n // 2]
        got = steps.embedding(weights.packed, tokens)
        want = weights.floats[tokens]
        # where weights are a difference, of the order of its terms
        within = 0 if type_name in EXACT else 1e-6
        peak = float(np.abs(want).max())
        np.testing.assert_allclose(got, want, rtol=within, atol=within * peak)


@each_type
def test_threads_make_no_difference(
    steps_of: Callable[[str], Steps], matrix: MakeMatrix, type_name: str
) -> None:
    weights = matrix(type_name, 100, 256)
    rows = list(range(100))
    steps = steps_of("scalar")
    alone = steps.embedding(weights.packed, rows)
    for n_threads in (2, 3, 16):
        packed = weights.pack(n_threads)
        np.testing.assert_array_equal(steps.embedding(packed, rows), alone)


@each_type
def test_experts_are_packed_like_matrices(
    matrix: MakeMatrix, type_name: str, panels: Callable[[int], NDArray[np.uint8]]
) -> None:
    k = 2 * GGMLType[type_name].block_size
    each = [matrix(type_name, 37, k, seed) for seed in range(3)]
    size = packed_bytes(type_name, 37, k)
    data, out = np.concatenate([one.data for one in each]), panels(3 * size)
    experts = pack_experts(type_name, data, 3, 37, k, out, n_threads=2)
    for number, one in enumerate(each):
        alone = panels(size)
        packed = pack(type_name, one.data, 37, k, alone)
        np.testing.assert_array_equal(out[number * size :][:size], alone)
    assert (experts.type_name, experts.shape) == (packed.type_name, (3, 37, k))
    assert (experts.nbytes, experts.stride, experts.n_expert) == (3 * size, size, 3)


def test_experts_that_are_not_as_many_as_was_said(
    matrix: MakeMatrix, panels: Callable[[int], NDArray[np.uint8]]
) -> None:
    data, size = matrix("Q8_0", 16, 64).data, packed_bytes("Q8_0", 16, 64)
    with pytest.raises(ValueError, match=f"wanted {2 * size} bytes out"):
        pack_experts("Q8_0", np.tile(data, 2), 2, 16, 64, panels(size))
    with pytest.raises(ValueError, match="bytes in"):
        pack_experts("Q8_0", data, 2, 16, 64, panels(2 * size))
    with pytest.raises(ValueError, match=r"\(0, 16, 64\)"):
        pack_experts("Q8_0", data, 0, 16, 64, panels(0))


@each_type
def test_what_a_packed_matrix_says_of_itself(
    matrix: MakeMatrix, type_name: str
) -> None:
    packed = matrix(type_name, 37, 512).packed
    assert packed.type_name == type_name
    assert packed.shape == (37, 512)
    assert packed.nbytes == packed_bytes(type_name, 37, 512)
    # its 37 rows are 48 in panels; scales of 6 bits take a byte
    if type_name in BITS:
        assert packed.nbytes == 48 * 512 * BITS[type_name] / 8
        return
    blocks = 48 * 512 // GGMLType[type_name].block_size
    in_file = blocks * GGMLType[type_name].type_size
    assert packed.nbytes <= in_file * 1.06


@each_type
def test_wrong_sizes_are_refused(matrix: MakeMatrix, type_name: str) -> None:
    weights = matrix(type_name, 17, 256)
    out = np.zeros(packed_bytes(type_name, 17, 256) + 64, np.uint8)
    start = -out.ctypes.data % 64
    exact = out[start : start + packed_bytes(type_name, 17, 256)]
    for data, n, k, into in [
        (weights.data[:-1], 17, 256, exact),
        (np.append(weights.data, np.uint8(0)), 17, 256, exact),
        (weights.data, 16, 256, exact),
        (weights.data, 17, 512, exact),
        (weights.data, 17, 256, exact[:-64]),
        (weights.data[:0], 0, 256, exact[:0]),
        (weights.data[:0], 1, 0, exact[:0]),
        (weights.data, -17, 256, exact),
    ]:
        with pytest.raises(ValueError, match=type_name):
            pack(type_name, data, n, k, into)
    with pytest.raises(ValueError, match="64 bytes"):
        pack(type_name, weights.data, 17, 256, out[start + 1 :][: len(exact)])
    with pytest.raises(ValueError, match="not in tuple|unknown"):
        pack("Q9_9", weights.data, 17, 256, exact)


@pytest.mark.parametrize("k", [31, 32, 48, 288])
@pytest.mark.parametrize("type_name", TYPE_NAMES[3:])
def test_columns_that_are_no_whole_blocks(type_name: str, k: int) -> None:
    if k % GGMLType[type_name].block_size == 0:
        pytest.skip("whole blocks")
    with pytest.raises(ValueError, match=f"{type_name}.*whole blocks"):
        pack(type_name, np.zeros(4096, np.uint8), 1, k, np.zeros(4096, np.uint8))
