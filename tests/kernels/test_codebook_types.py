"""Types of few bits: every point and scale, and blocks that nobody would write."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.ggml.types import GGMLType
from tests.support.random_blocks import random_blocks, set_iq1_m_factor

if TYPE_CHECKING:
    from tests.kernels.conftest import Matrix, Steps

MatrixOf = Callable[[str, NDArray[np.uint8]], "Matrix"]

CODEBOOKS = ("IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ1_S", "IQ1_M")
TERNARY = ("TQ1_0", "TQ2_0")
FEW_BITS = ("Q1_0", "Q2_0")
each_type = pytest.mark.parametrize("type_name", [*CODEBOOKS, *TERNARY, *FEW_BITS])
# Byte at which the factor of a block is; IQ1_M's is in parts.
FACTOR = dict.fromkeys((*CODEBOOKS, *FEW_BITS), 0) | {"TQ1_0": 52, "TQ2_0": 64}


def set_factor(type_name: str, blocks: NDArray[np.uint8], d: float) -> None:
    """Put one factor into all blocks."""
    halves = np.full(len(blocks), d, np.float16)
    if type_name == "IQ1_M":
        set_iq1_m_factor(blocks, halves)
        return
    at = FACTOR[type_name]
    blocks[:, at : at + 2] = halves.view(np.uint8).reshape(-1, 2)


@each_type
def test_packing_loses_nothing(
    steps: Steps, matrix_of: MatrixOf, type_name: str
) -> None:
    """Not of any index, sign or scale, nor of the smallest and the largest factors."""
    blocks = random_blocks(type_name, 512, np.random.default_rng(0))
    for d in (0.0625, -0.3, 6e-8, -65504.0, 0.0):
        set_factor(type_name, blocks, d)
        weight = matrix_of(type_name, blocks)
        got = steps.embedding(weight.packed, list(range(len(blocks))))
        np.testing.assert_array_equal(got, weight.floats)


@each_type
def test_blocks_of_one_byte(steps: Steps, matrix_of: MatrixOf, type_name: str) -> None:
    """All bits set are the last index, sign and scale; factors of all kinds come up."""
    size = GGMLType[type_name].type_size
    blocks = np.repeat(np.arange(256, dtype=np.uint8), size).reshape(256, size)
    weight = matrix_of(type_name, blocks)
    got = steps.embedding(weight.packed, list(range(256)))
    finite = np.isfinite(weight.floats).all(axis=1)
    assert 200 < finite.sum() < 256
    np.testing.assert_array_equal(got[finite], weight.floats[finite])
    assert not np.isfinite(got[~finite]).any()


@each_type
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_factor_that_is_no_number_spoils_its_row_alone(
    steps: Steps, matrix_of: MatrixOf, type_name: str, bad: float
) -> None:
    blocks = random_blocks(type_name, 40, np.random.default_rng(0))
    weight = matrix_of(type_name, blocks)
    spoilt_blocks = blocks.copy()
    set_factor(type_name, spoilt_blocks[17:18], bad)
    spoilt = matrix_of(type_name, spoilt_blocks)
    rest = [n for n in range(40) if n != 17]
    for m in (1, 5, 40):
        k = GGMLType[type_name].block_size
        x = np.random.default_rng(1).standard_normal((m, k), dtype=np.float32)
        got = steps.linear(x, spoilt)
        assert not np.isfinite(got[:, 17]).any()
        want = steps.linear(x, weight)
        np.testing.assert_array_equal(got[:, rest], want[:, rest])


def test_every_scale_of_nvfp4(steps: Steps, matrix_of: MatrixOf) -> None:
    """All bytes are numbers, subnormal ones and one that is NaN elsewhere too."""
    size = GGMLType.NVFP4.type_size
    blocks = np.random.default_rng(0).integers(0, 256, (256, size), np.uint8)
    blocks[:, :4] = np.arange(256)[:, None] ^ np.arange(4)
    weight = matrix_of("NVFP4", blocks)
    got = steps.embedding(weight.packed, list(range(256)))
    assert np.isfinite(weight.floats).all()
    np.testing.assert_array_equal(got, weight.floats)


def test_every_scale_of_mxfp4(steps: Steps, matrix_of: MatrixOf) -> None:
    """A scale may be so large that only its small weights are finite."""
    blocks = np.random.default_rng(0).integers(0, 256, (256, 17), np.uint8)
    blocks[:, 0] = np.arange(256)
    weight = matrix_of("MXFP4", blocks)
    got = steps.embedding(weight.packed, list(range(256)))
    assert np.isfinite(weight.floats[:253]).all()
    np.testing.assert_array_equal(got, weight.floats)


def test_products_with_large_scales_of_mxfp4(steps: Steps, matrix_of: MatrixOf) -> None:
    blocks = np.random.default_rng(0).integers(0, 256, (16, 17), np.uint8)
    blocks[:, 0] = 128 + 120
    weight = matrix_of("MXFP4", blocks)
    x = np.random.default_rng(1).standard_normal((33, 32), dtype=np.float32)
    x *= np.float32(2.0**-100)
    want = x.astype(np.float64) @ weight.floats.T.astype(np.float64)
    for m in (1, 33):
        off = steps.linear(x[:m], weight) - want[:m]
        assert np.sqrt(np.mean(off**2)) <= 0.02 * want.std()
