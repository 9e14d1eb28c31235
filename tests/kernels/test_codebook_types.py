"""Types of few bits: every point of their codebooks, and blocks nobody would write."""

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
each_type = pytest.mark.parametrize("type_name", [*CODEBOOKS, *TERNARY])
# Byte at which the factor of a block is; IQ1_M's is in parts.
FACTOR = dict.fromkeys(CODEBOOKS, 0) | {"TQ1_0": 52, "TQ2_0": 64}


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
        x = np.random.default_rng(1).standard_normal((m, 256), dtype=np.float32)
        got = steps.linear(x, spoilt)
        assert not np.isfinite(got[:, 17]).any()
        want = steps.linear(x, weight)
        np.testing.assert_array_equal(got[:, rest], want[:, rest])
