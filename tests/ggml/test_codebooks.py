"""The codebooks of the IQ types are those of the `gguf` package."""

from __future__ import annotations

import numpy as np
import pytest

from llamacy.ggml.codebooks import codebook

gguf = pytest.importorskip("gguf")

# bits of an index, columns of a point, values of a column
KINDS = {
    "IQ2_XXS": (8, 8, 3),
    "IQ2_XS": (9, 8, 3),
    "IQ2_S": (10, 8, 3),
    "IQ3_XXS": (8, 4, 8),
    "IQ3_S": (9, 4, 8),
    "IQ1_S": (11, 8, 3),
    "IQ1_M": (11, 8, 3),
}
each_type = pytest.mark.parametrize("type_name", KINDS)


@each_type
def test_codebook_points_are_those_of_gguf(type_name: str) -> None:
    kind = getattr(gguf.quants, type_name)
    kind.init_grid()
    values = np.array(kind.grid_map, np.float32)
    np.testing.assert_array_equal(values[codebook(type_name)], kind.grid[0, 0])


@each_type
def test_no_index_leads_past_the_end_of_a_codebook(type_name: str) -> None:
    """There are as many points as indices, and their digits fit beside a sign."""
    n_bits, n_columns, n_values = KINDS[type_name]
    points = codebook(type_name)
    assert points.shape == (2**n_bits, n_columns)
    assert points.dtype == np.uint8
    assert points.max() == n_values - 1
    assert points.flags.c_contiguous
    assert not points.flags.writeable


@each_type
def test_the_points_of_a_codebook_differ(type_name: str) -> None:
    points = codebook(type_name)
    assert len(np.unique(points, axis=0)) == len(points)
