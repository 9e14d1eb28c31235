"""Tensors derived from a file's own: their contents, and the part kept in memory."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.formats.derived_tensor import DerivedTensor, StackedTensor
from llamacy.ggml.quantization import quantize
from llamacy.ggml.types import GGMLType


class Row(DerivedTensor):
    """A matrix of one row, which records that it was released."""

    def __init__(self, name: str, weights: NDArray[np.float32]) -> None:
        super().__init__(name, GGMLType.Q8_0, (1, len(weights)), sources=[])
        self.weights = weights
        self.n_released = 0

    @property
    def data(self) -> NDArray[np.uint8]:
        return quantize(self.weights, self.type).reshape(-1)

    def sample(self) -> bytes:
        return self.data[:34].tobytes()

    def release(self) -> None:
        self.n_released += 1


@pytest.fixture
def rows() -> list[Row]:
    weights = np.random.default_rng(0).normal(size=(3, 64)).astype(np.float32)
    return [Row(f"part.{i}", row) for i, row in enumerate(weights)]


def test_a_stacked_tensor_is_its_parts_one_after_another(rows: list[Row]) -> None:
    stack = StackedTensor("all", rows)
    assert (stack.name, stack.type, stack.shape) == ("all", GGMLType.Q8_0, (3, 1, 64))
    assert len(stack.data) == stack.n_bytes == 3 * 2 * 34
    parts = np.stack([row.dequantize() for row in rows])
    np.testing.assert_array_equal(stack.dequantize(), parts)


def test_a_copied_part_is_released_from_memory(rows: list[Row]) -> None:
    stack = StackedTensor("all", rows)
    assert stack.data.size
    assert [row.n_released for row in rows] == [1, 1, 1]
    stack.release()
    assert [row.n_released for row in rows] == [2, 2, 2]


def test_a_different_part_changes_the_fingerprint(rows: list[Row]) -> None:
    others = [*rows[:2], Row("part.2", -rows[2].weights)]
    assert StackedTensor("all", rows).sample() != StackedTensor("all", others).sample()
