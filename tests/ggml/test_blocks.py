"""Every tensor type is dequantised like in the `gguf` package, bit for bit.

Two types are younger than the package's; the file of vectors has these, and NVFP4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.errors import ArgumentError
from llamacy.ggml import types as ggml
from llamacy.ggml.types import GGMLType, dequantize, type_name

gguf = pytest.importorskip("gguf")

YOUNG = (GGMLType.Q1_0, GGMLType.Q2_0)
each_type = pytest.mark.parametrize(
    "ggml_type",
    [each for each in GGMLType if each not in YOUNG],
    ids=lambda each: each.name,
)


def random_blocks(ggml_type: GGMLType, n_blocks: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(ggml_type.value)
    return rng.integers(0, 256, n_blocks * ggml_type.type_size, dtype=np.uint8)


def reference(
    data: NDArray[np.uint8], ggml_type: GGMLType, shape: tuple[int, ...]
) -> NDArray[np.float32]:
    rows = data.reshape(shape[0], -1)
    with np.errstate(all="ignore"):
        weights = gguf.dequantize(rows, gguf.GGMLQuantizationType(ggml_type))
    return np.asarray(weights, np.float32).reshape(shape)


def assert_same_bits(got: NDArray[np.float32], want: NDArray[np.float32]) -> None:
    assert got.shape == want.shape
    same = got.view(np.uint32) == want.view(np.uint32)
    both_nan = np.isnan(got) & np.isnan(want)
    np.testing.assert_array_equal(same | both_nan, True)


@each_type
def test_block_sizes_are_those_of_ggml(ggml_type: GGMLType) -> None:
    sizes = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(ggml_type)]
    assert (ggml_type.block_size, ggml_type.type_size) == sizes


@each_type
def test_random_blocks_are_dequantised_like_in_gguf(ggml_type: GGMLType) -> None:
    n_rows, row_blocks = 37, 5
    data = random_blocks(ggml_type, n_rows * row_blocks)
    shape = (n_rows, row_blocks * ggml_type.block_size)
    got = dequantize(data, ggml_type, shape)
    assert got.dtype == np.float32
    assert got.flags.c_contiguous
    assert_same_bits(got, reference(data, ggml_type, shape))


@each_type
def test_every_byte_in_every_place_is_dequantised_like_in_gguf(
    ggml_type: GGMLType,
) -> None:
    """Blocks of one repeated byte reach all fields, and make special floats."""
    data = np.repeat(np.arange(256, dtype=np.uint8), ggml_type.type_size)
    shape = (256, ggml_type.block_size)
    got = dequantize(data, ggml_type, shape)
    assert_same_bits(got, reference(data, ggml_type, shape))


@each_type
def test_more_than_a_chunk_is_dequantised_like_in_gguf(ggml_type: GGMLType) -> None:
    """The chunks of a three-dimensional tensor end where they should."""
    row = 256
    n_rows = 2 * ggml._CHUNK // row + 3
    data = random_blocks(ggml_type, n_rows * row // ggml_type.block_size)
    shape = (n_rows, 1, row)
    got = dequantize(data, ggml_type, shape)
    last = slice(n_rows - 8, n_rows)
    per_row = len(data) // n_rows
    tail = reference(data[-8 * per_row :], ggml_type, (8, 1, row))
    assert_same_bits(np.ascontiguousarray(got[last]), tail)
    first = reference(data[: 8 * per_row], ggml_type, (8, 1, row))
    assert_same_bits(np.ascontiguousarray(got[:8]), first)


@each_type
def test_dequantised_weights_are_a_copy(ggml_type: GGMLType) -> None:
    data = random_blocks(ggml_type, 256 // ggml_type.block_size)
    data.flags.writeable = False
    got = dequantize(data, ggml_type, (256,))
    assert got.flags.writeable
    assert not np.shares_memory(got, data)


@each_type
def test_unaligned_blocks_are_dequantised(ggml_type: GGMLType) -> None:
    n_blocks = 512 // ggml_type.block_size
    data = random_blocks(ggml_type, n_blocks)
    shifted = np.concatenate([np.zeros(1, np.uint8), data])[1:]
    got = dequantize(shifted, ggml_type, (2, 256))
    assert_same_bits(got, reference(data, ggml_type, (2, 256)))


@pytest.mark.parametrize("name", ["Q1_0", "Q2_0", "NVFP4"])
def test_blocks_are_dequantised_like_in_llama_cpp(
    name: str, llama_cpp_blocks: Mapping[str, NDArray[Any]]
) -> None:
    """Random blocks, and blocks of one repeated byte, which make special floats."""
    blocks = llama_cpp_blocks[f"{name}_blocks"]
    want = llama_cpp_blocks[f"{name}_weights"]
    got = dequantize(blocks.reshape(-1), GGMLType[name], want.shape)
    assert blocks.shape[1] == GGMLType[name].type_size
    assert_same_bits(got, want)


def test_wrong_sizes_are_refused() -> None:
    blocks = random_blocks(GGMLType.Q4_0, 2)
    with pytest.raises(ArgumentError, match="multiple of 32 .* Q4_0"):
        dequantize(blocks, GGMLType.Q4_0, (2, 31))
    with pytest.raises(ArgumentError, match="wanted 54 bytes .* found 36"):
        dequantize(blocks, GGMLType.Q4_0, (3, 32))


def test_type_names_are_those_of_ggml() -> None:
    for each in gguf.GGMLQuantizationType:
        assert type_name(int(each)) == each.name
    assert type_name(142) == "PQ2_0"
    assert type_name(4_000_000_000) == "unknown type 4000000000"
