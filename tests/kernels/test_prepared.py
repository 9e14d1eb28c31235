"""Quantised activations, seen through the identity matrix, and all of their bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.ops.plan.kernel_choice import all_digits
from tests.support.rows import noise

if TYPE_CHECKING:
    from tests.kernels.conftest import Array, Matrix, Steps

UNITS = 16
COLUMNS = 32 * UNITS


def identity(matrix: Callable[..., Matrix], type_name: str) -> Matrix:
    """Weights that leave an activation as it was quantised."""
    unit = matrix(type_name, COLUMNS, COLUMNS)
    eye = type(unit).__new__(type(unit))
    eye.type_name = type_name
    eye.floats = np.eye(COLUMNS, dtype=np.float32)
    scale = np.float16(1 / 64 if type_name == "Q8_0" else -1 / 8)
    one = np.eye(COLUMNS, dtype=bool).reshape(-1, 32)
    if type_name == "Q8_0":
        blocks = np.zeros((len(one), 34), np.uint8)
        blocks[:, 2:] = np.where(one, 64, 0)
    else:  # Q4_0: code 8 stands for 0, and code 0 for -8
        nibbles = np.where(one, 0, 8).astype(np.uint8)
        blocks = np.zeros((len(one), 18), np.uint8)
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
    sizes = np.repeat(10.0 ** rng.uniform(-1, 1, (17, UNITS)), 32, axis=1)
    x = (noise(17, COLUMNS) * spread * sizes).astype(np.float32)
    x *= (10.0 ** rng.uniform(-2, 2, x.shape)).astype(np.float32)
    y = steps.linear(x, eye)
    units = x.reshape(17, UNITS, 32)
    step = np.abs(units).max(axis=2, keepdims=True) / 127
    most = np.full(step.shape, 0.5)
    if type_name == "Q8_0":  # half of the first digit's step is 128 of the second's
        most = np.where(has_second_digit(steps, step), 1 / 256, most)
    errors = np.abs(y.reshape(units.shape) - units)
    assert (errors <= step * most * 1.01 + 1e-6 * np.abs(units)).all()
    peak = np.abs(units).argmax(axis=2)[..., None]
    np.testing.assert_allclose(
        np.take_along_axis(y.reshape(units.shape), peak, 2),
        np.take_along_axis(units, peak, 2),
        rtol=1e-6,
    )
    np.testing.assert_array_equal(steps.linear(-x, eye), -y)


def has_second_digit(steps: Steps, step: Array) -> NDArray[np.bool_]:
    """Where units keep both digits: all, or those whose step is large in its row."""
    if not steps.skips_digits:
        return np.ones(step.shape, bool)
    square = np.square(step.astype(np.float64))
    kept: NDArray[np.bool_] = square >= 2 * square.mean(axis=1, keepdims=True)
    assert kept.any() and not kept.all()
    return kept


@pytest.mark.parametrize("m", [12, 13, 15, 16, 29])
def test_nothing_is_left_of_earlier_rows(
    steps: Steps, matrix: Callable[..., Matrix], m: int
) -> None:
    """Where a strip has room for more rows than there are, these are zeros."""
    program, x = steps.program(), noise(m, 256)
    weights = [matrix(name, 16, 256) for name in ("Q8_0", "F16")]
    every_form = all_digits(program.digits_read(each.packed) for each in weights)
    prepared = steps.prepare(x, every_form, 0xA5)
    np.testing.assert_array_equal(prepared, steps.prepare(x, every_form, 0x5A))
