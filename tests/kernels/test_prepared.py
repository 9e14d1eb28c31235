"""Quantised activations, seen through the identity matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support.rows import noise

if TYPE_CHECKING:
    from tests.kernels.conftest import Matrix, Steps


def identity(matrix: Callable[..., Matrix], type_name: str) -> Matrix:
    """Weights that leave an activation as it was quantised."""
    unit = matrix(type_name, 32, 32)
    eye = type(unit).__new__(type(unit))
    eye.type_name = type_name
    eye.floats = np.eye(32, dtype=np.float32)
    scale = np.float16(1 / 64 if type_name == "Q8_0" else -1 / 8)
    one = np.eye(32, dtype=bool)
    if type_name == "Q8_0":
        blocks = np.zeros((32, 34), np.uint8)
        blocks[:, 2:] = np.where(one, 64, 0)
    else:  # Q4_0: code 8 stands for 0, and code 0 for -8
        nibbles = np.where(one, 0, 8).astype(np.uint8)
        blocks = np.zeros((32, 18), np.uint8)
        blocks[:, 2:] = nibbles[:, :16] | nibbles[:, 16:] << 4
    blocks[:, :2] = np.frombuffer(scale.tobytes(), np.uint8)
    eye.data = blocks.reshape(-1)
    eye.packed = eye.pack()
    return eye


@pytest.mark.parametrize("type_name", ["Q4_0", "Q8_0"])
def test_quantised_activations_are_within_half_a_step(
    steps: Steps, matrix: Callable[..., Matrix], type_name: str
) -> None:
    eye = identity(matrix, type_name)
    rng = np.random.default_rng(3)
    spread = 10.0 ** rng.uniform(-6, 6, (17, 1))
    x = (noise(17, 32) * spread * 10.0 ** rng.uniform(-2, 2, (17, 32))).astype(
        np.float32
    )
    y = steps.linear(x, eye)
    step = np.abs(x).max(axis=1, keepdims=True) / 127
    most = 0.5
    if type_name == "Q8_0":  # half of the first digit's step is 128 of the second's
        step, most = step / 256, 1
    assert (np.abs(y - x) <= step * most * 1.01 + 1e-6 * np.abs(x)).all()
    peak = np.abs(x).argmax(axis=1)
    rows = np.arange(17)
    np.testing.assert_allclose(y[rows, peak], x[rows, peak], rtol=1e-6)
    np.testing.assert_array_equal(steps.linear(-x, eye), -y)
