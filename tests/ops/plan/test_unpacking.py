"""Rows of packed matrices are those of the file, at every level."""

from __future__ import annotations

import gguf
import numpy as np
import pytest

from llamacy.ggml.types import GGMLType, dequantize
from llamacy.kernels.levels import Level
from llamacy.kernels.packing.matrices import pack, packed_bytes
from llamacy.ops.memory import large_pages
from llamacy.ops.plan.unpacking import unpack_rows


@pytest.mark.parametrize("type_name", ["F32", "BF16", "Q8_0", "Q4_0", "Q5_1"])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_rows_are_dequantised(level: Level, type_name: str, n_threads: int) -> None:
    n, k = 37, 96
    values = np.random.default_rng(0).standard_normal((n, k), np.float32)
    kind = gguf.GGMLQuantizationType[type_name]
    data = np.ascontiguousarray(gguf.quants.quantize(values, kind))
    data = data.view(np.uint8).reshape(-1)
    weight = pack(type_name, data, n, k, large_pages(packed_bytes(type_name, n, k)))
    wanted = dequantize(data, GGMLType[type_name], (n, k))
    for first, n_rows in ((0, n), (16, 5), (30, 100), (0, 1)):
        found = unpack_rows(weight, first, n_rows, level.name, n_threads)
        assert found.shape == (min(n_rows, n - first), k)
        np.testing.assert_allclose(
            found, wanted[first : first + n_rows], rtol=1e-6, atol=1e-6
        )


def test_a_vector_is_one_row() -> None:
    vector = np.arange(5, dtype=np.float32)
    found = unpack_rows(vector, 0, 10, "scalar", 1)
    np.testing.assert_array_equal(found, vector[None])
