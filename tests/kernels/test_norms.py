"""Norms of rows, and of their parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from llamacy.ops.plan.step import Step
from tests.support.rows import WIDTHS, noise, whole

if TYPE_CHECKING:
    from tests.kernels.conftest import Array, Steps


def norm(
    steps: Steps,
    op: str,
    x: Array,
    weight: Array | None,
    eps: float,
    bias: Array | None = None,
    n_parts: int = 1,
) -> Array:
    n = x.shape[1]
    x, y = whole(x), np.full_like(whole(x), 7)
    program = steps.program()
    step = Step.of(
        op,
        {"x": x},
        {"y": y},
        weight=weight,
        bias=bias,
        eps=eps,
        n=n // n_parts,
        n_parts=n_parts,
    )
    program.add(step)
    steps.run(program, len(x))
    assert (y[:, n:] == 7).all(), "wrote past the end of its rows"
    return y[:, :n]


def rms_norm(steps: Steps, x: Array, weight: Array | None, eps: float) -> Array:
    return norm(steps, "rms_norm", x, weight, eps)


@pytest.mark.parametrize("eps", [1e-5, 0.1])
def test_rms_norm(steps: Steps, eps: float) -> None:
    for k in WIDTHS:
        x, weight = 3 * noise(5, k), noise(k, seed=1)
        wide = x.astype(np.float64)
        scale = np.sqrt(np.mean(wide**2, axis=1, keepdims=True) + eps)
        np.testing.assert_allclose(
            rms_norm(steps, x, weight, eps), wide / scale * weight, rtol=3e-6
        )


@pytest.mark.parametrize("width", [8, 16, 24, 64])
def test_rms_norm_of_heads(steps: Steps, width: int) -> None:
    x, weight = 3 * noise(5, 4 * width), noise(width, seed=1)
    y = norm(steps, "rms_norm", x, weight, 1e-5, n_parts=4)
    for head in range(4):
        part = slice(head * width, (head + 1) * width)
        want = rms_norm(steps, x[:, part].copy(), weight, 1e-5)
        np.testing.assert_array_equal(y[:, part], want)


def test_rms_norm_with_a_bias(steps: Steps) -> None:
    for k in (1, 16, 33):
        x, weight, bias = noise(5, k), noise(k, seed=1), noise(k, seed=2)
        plain = rms_norm(steps, x, weight, 1e-5)
        got = norm(steps, "rms_norm", x, weight, 1e-5, bias)
        np.testing.assert_allclose(got, plain + bias, rtol=1e-6, atol=1e-6)


def test_rms_norm_without_a_weight(steps: Steps) -> None:
    for k in (1, 16, 33):
        x = noise(5, k)
        want = rms_norm(steps, x, np.ones(k, np.float32), 1e-5)
        np.testing.assert_array_equal(rms_norm(steps, x, None, 1e-5), want)


@pytest.mark.parametrize("has_weight", [True, False], ids=["weight", "none"])
@pytest.mark.parametrize("has_bias", [True, False], ids=["bias", "none"])
def test_layer_norm(steps: Steps, has_weight: bool, has_bias: bool) -> None:
    for k in WIDTHS:
        x = 3 * noise(5, k) + np.float32(20)
        weight, bias = noise(k, seed=1), noise(k, seed=2)
        wide = x.astype(np.float64)
        centred = wide - wide.mean(axis=1, keepdims=True)
        want = centred / np.sqrt(np.mean(centred**2, axis=1, keepdims=True) + 0.1)
        want = want * weight if has_weight else want
        want = want + bias if has_bias else want
        got = norm(
            steps,
            "layer_norm",
            x,
            weight if has_weight else None,
            0.1,
            bias if has_bias else None,
        )
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("op", ["rms_norm", "layer_norm"])
def test_parts_of_a_row_may_have_weights_of_their_own(steps: Steps, op: str) -> None:
    x, weight, bias = noise(5, 60), noise(60, seed=1), noise(60, seed=2)
    y = norm(steps, op, x, weight, 1e-5, bias, n_parts=3)
    for first in (0, 20, 40):
        part = slice(first, first + 20)
        want = norm(steps, op, x[:, part].copy(), weight[part], 1e-5, bias[part])
        np.testing.assert_array_equal(y[:, part], want)


def test_rms_norm_of_zeros_and_of_what_is_not_finite(steps: Steps) -> None:
    x, weight = noise(4, 40), noise(40, seed=1)
    clean = rms_norm(steps, x, weight, 1e-5)
    x[0], x[1, 3], x[2, 39] = 0, np.nan, np.inf
    y = rms_norm(steps, x, weight, 1e-5)
    assert not y[0].any()
    assert np.isnan(y[1]).all()
    assert np.isnan(y[2, 39])
    np.testing.assert_array_equal(y[3], clean[3])
