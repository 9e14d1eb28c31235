"""Kernels on rows, elementwise: sums, products with a gate, activations, scales."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.ops.plan.step import Step
from tests.support.rows import WIDTHS, noise, whole

if TYPE_CHECKING:
    from tests.kernels.conftest import Array, Steps


def elementwise(steps: Steps, name: str, x: Array, y: Array) -> Array:
    program, z = steps.program(), np.zeros_like(x)
    program.add(Step(name, {"x": x, "y": y}, {"z": z}))
    steps.run(program, len(x))
    return z


def test_add(steps: Steps) -> None:
    for n in WIDTHS:
        x, y = noise(5, n), noise(5, n, seed=1)
        np.testing.assert_array_equal(elementwise(steps, "add", x, y), x + y)


def test_mul(steps: Steps) -> None:
    for n in WIDTHS:
        x, y = noise(5, n), noise(5, n, seed=1)
        np.testing.assert_array_equal(elementwise(steps, "mul", x, y), x * y)


def test_columns_of_wider_rows_and_rows_for_all(steps: Steps) -> None:
    """Rows of both inputs and of the result may be apart by other numbers of floats."""
    for n in WIDTHS:
        x, y = noise(5, 3 * n), noise(5, n + 7, seed=1)
        z, program = np.full((5, n + 16), 7, np.float32), steps.program()
        operands = {"x": x[:, n : 2 * n], "y": y[:, 7:]}
        program.add(Step("mul", operands, {"z": z}, {"n": n}))
        program.add(Step("silu_mul", operands, {"z": z[:, :n]}, {"n": n}))
        want = steps.program()
        apart = {name: each.copy() for name, each in operands.items()}
        alone = np.zeros((5, n), np.float32)
        want.add(Step("silu_mul", apart, {"z": alone}))
        steps.run(program, 5)
        steps.run(want, 5)
        np.testing.assert_array_equal(z[:, :n], alone)
        assert (z[:, n:] == 7).all(), "wrote past the end of its rows"


def test_columns_must_be_side_by_side(steps: Steps) -> None:
    x, y = noise(4, 32), noise(4, 16)
    with pytest.raises(ValueError, match="operand: wanted columns side by side"):
        steps.program().add(Step("add", {"x": x[:, ::2], "y": y}, {"z": y}))


def test_silu_mul(steps: Steps) -> None:
    for n in WIDTHS:
        x, y = 4 * noise(5, n), noise(5, n, seed=1)
        want = x / (1 + np.exp(-x.astype(np.float64))) * y
        got = elementwise(steps, "silu_mul", x, y)
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-30)


def test_gain(steps: Steps) -> None:
    for n in WIDTHS:
        x, w = noise(5, n), noise(n, seed=1)
        z, program = np.full_like(whole(x), 7), steps.program()
        program.add(Step("gain", {"x": whole(x)}, {"z": z}, {"weight": w}))
        steps.run(program, 5)
        np.testing.assert_array_equal(z[:, :n], x * w)
        assert (z[:, n:] == 7).all(), "wrote past the end of its rows"


def test_clamped_swiglu(steps: Steps) -> None:
    for n in WIDTHS:
        x, y = 4 * noise(5, n), 5 * noise(5, n, seed=1)
        gate = np.minimum(x, 7).astype(np.float64)
        want = gate / (1 + np.exp(-1.702 * gate)) * (np.clip(y, -7, 7) + 1)
        got = elementwise(steps, "clamped_swiglu", x, y)
        np.testing.assert_allclose(got, want, rtol=2e-6, atol=1e-6)


def gelu(x: Array) -> NDArray[np.float64]:
    """(1 + tanh(z)) / 2 is 1 / (1 + exp(-2z)), which keeps digits where it is small."""
    wide = x.astype(np.float64)
    with np.errstate(over="ignore"):
        z = math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3)
        y: NDArray[np.float64] = wide / (1 + np.exp(-2 * z))
    return y


def test_gelu_mul(steps: Steps) -> None:
    for n in WIDTHS:
        x, y = 4 * noise(5, n), noise(5, n, seed=1)
        got = elementwise(steps, "gelu_mul", x, y)
        # an error in z is one of exp(-2z) times as great as z
        np.testing.assert_allclose(got, gelu(x) * y, rtol=2e-5, atol=1e-30)


def test_gelu_at_its_ends(steps: Steps) -> None:
    x = np.array([[-1e30, -1e4, -9, -1e-20, 0, 1e-20, 9, 1e4, 1e30]], np.float32)
    y = elementwise(steps, "gelu_mul", x, np.ones_like(x))
    np.testing.assert_allclose(y, gelu(x), rtol=2e-5, atol=1e-35)
    odd = np.array([[np.nan, np.inf]], np.float32)
    y = elementwise(steps, "gelu_mul", odd, np.ones_like(odd))[0]
    assert np.isnan(y[0]) and y[1] == np.inf


def pointwise(steps: Steps, name: str, x: Array, *constants: float) -> Array:
    n = x.shape[1]
    x, y = whole(x), np.full_like(whole(x), 7)
    program, in_place = steps.program(), steps.program()
    sizes = {"n": n, "constants": constants}
    program.add(Step(name, {"x": x}, {"y": y}, sizes))
    steps.run(program, len(x))
    assert (y[:, n:] == 7).all(), "wrote past the end of its rows"
    in_place.add(Step(name, {"x": x}, {"y": x}, sizes))
    steps.run(in_place, len(x))
    np.testing.assert_array_equal(x[:, :n], y[:, :n])
    return y[:, :n]


def test_scale(steps: Steps) -> None:
    for n in (*WIDTHS, 4096, 10_000):
        x = noise(5, n)
        got = pointwise(steps, "scale", x, 0.3)
        np.testing.assert_array_equal(got, x * np.float32(0.3))


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):
        y: NDArray[np.float64] = 1 / (1 + np.exp(-x))
    return y


erfc = np.vectorize(math.erfc, otypes=[np.float64])
XIELU = 0.8, 1.3, 0.5, -1e-6

ACTIVATIONS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "gelu": lambda x: gelu(x.astype(np.float32)),
    "gelu_erf": lambda x: x / 2 * erfc(-x / math.sqrt(2)),
    "gelu_quick": lambda x: x * sigmoid(1.702 * x),
    "silu": lambda x: x * sigmoid(x),
    "sigmoid": sigmoid,
    "softplus": lambda x: np.logaddexp(0, x),
    "relu": lambda x: np.maximum(x, 0),
    "relu_squared": lambda x: np.maximum(x, 0) ** 2,
    "xielu": lambda x: np.where(
        x > 0,
        XIELU[0] * x**2 + XIELU[2] * x,
        XIELU[1] * (np.expm1(np.minimum(x, XIELU[3])) - x) + XIELU[2] * x,
    ),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(steps: Steps, name: str) -> None:
    constants = XIELU if name == "xielu" else ()
    for n in (*WIDTHS, 10_000):
        x = noise(5, n) * 10.0 ** np.arange(-3, 2, dtype=np.float32)[:, None]
        want = ACTIVATIONS[name](x.astype(np.float64))
        got = pointwise(steps, name, x, *constants)
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=3e-7)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_at_their_ends(steps: Steps, name: str) -> None:
    x = np.array([[-1e4, -100, -9.5, -1e-20, 0, 1e-20, 9.5, 100, 1e4]], np.float32)
    constants = XIELU if name == "xielu" else ()
    with np.errstate(over="ignore"):
        want = ACTIVATIONS[name](x.astype(np.float64))
    got = pointwise(steps, name, x, *constants)
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=1e-19)
    odd = pointwise(
        steps, name, np.array([[np.nan, np.inf, 1]], np.float32), *constants
    )
    assert np.isnan(odd[0, 0]) and odd[0, 1] == (1 if name == "sigmoid" else np.inf)
    assert odd[0, 2] == pointwise(steps, name, np.ones((1, 1), np.float32), *constants)


@pytest.mark.parametrize("bounds", [(-0.5, 2.0), (-np.inf, 1.0), (0.0, np.inf)])
def test_clamp(steps: Steps, bounds: tuple[float, float]) -> None:
    odd = np.array([[-np.inf, -1e30, -0.5, 0, 1, 2, 1e30, np.inf, np.nan]], np.float32)
    for x in (odd, *(4 * noise(5, n) for n in WIDTHS)):
        got = pointwise(steps, "clamp", x, *bounds)
        least, most = map(np.float32, bounds)
        np.testing.assert_array_equal(got, np.clip(x, least, most))


@pytest.mark.parametrize("cap", [0.5, 30.0])
def test_softcap(steps: Steps, cap: float) -> None:
    for n in (*WIDTHS, 4096, 10_000):
        x = noise(5, n) * 10.0 ** np.arange(-3, 2, dtype=np.float32)[:, None]
        want = cap * np.tanh(x.astype(np.float64) / cap)
        got = pointwise(steps, "softcap", x, cap)
        np.testing.assert_allclose(got, want, rtol=1e-6)


def test_softcap_at_its_ends(steps: Steps) -> None:
    x = np.array([[-np.inf, -1e30, 0, 1e-30, 300, 1e30, np.inf, np.nan]], np.float32)
    got = pointwise(steps, "softcap", x, 30)[0]
    want = np.array([-30, -30, 0, 1e-30, 30, 30, 30, np.nan])
    np.testing.assert_allclose(got, want, rtol=1e-6)
    assert np.abs(got[:-1]).max() <= 30


def test_silu_at_its_ends(steps: Steps) -> None:
    """Where exp overflows, and of what is not a number."""
    x = np.array(
        [[-1e38, -1e4, -104, -95, -88.5, -20, 0, 20, 88.5, 1e4, 1e38]], np.float32
    )
    y = elementwise(steps, "silu_mul", x, np.ones_like(x))
    with np.errstate(over="ignore"):
        want = x / (1 + np.exp(-x.astype(np.float64)))
    np.testing.assert_allclose(y, want, rtol=1e-6, atol=1e-35)
    odd = np.array([[np.nan, np.inf, -np.inf]], np.float32)
    y = elementwise(steps, "silu_mul", odd, np.ones_like(odd))[0]
    assert np.isnan(y[0])
    assert y[1] == np.inf
    assert not y[2] > 0


@pytest.mark.parametrize("n", [1, 16, 33, 100])
def test_sigmoid_gate(steps: Steps, n: int) -> None:
    for k in (1, 5, 16, 40):
        x, w, y = noise(6, k), noise(k, seed=1), noise(6, n, seed=2)
        x[0], x[1] = 1e3 * w, -1e3 * w  # as good as open and shut
        z, program = np.full_like(whole(y), 7), steps.program()
        operands = {"x": whole(x), "y": whole(y)}
        program.add(Step("sigmoid_gate", operands, {"z": z}, {"weight": w, "n": n}))
        steps.run(program, 6)
        assert (z[:, n:] == 7).all(), "wrote past the end of its rows"
        with np.errstate(over="ignore"):
            want = y / (1 + np.exp(-(x.astype(np.float64) @ w)))[:, None]
        np.testing.assert_allclose(z[:, :n], want, rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("n", [1, 16, 33])
def test_head_gate(steps: Steps, n: int) -> None:
    for n_head in (1, 3, 16, 17):
        x, gate = noise(6, n_head * n), noise(6, n_head, seed=1)
        y, program = np.full_like(whole(x), 7), steps.program()
        operands = {"x": whole(x), "gate": whole(gate)}
        constants = {"n_parts": n_head, "n": n}
        program.add(Step("head_gate", operands, {"y": y}, constants))
        steps.run(program, 6)
        assert (y[:, n_head * n :] == 7).all(), "wrote past the end of its rows"
        want = x.reshape(6, n_head, n) * gate[..., None]
        np.testing.assert_array_equal(y[:, : n_head * n], want.reshape(6, -1))


def test_wanted_rows(steps: Steps) -> None:
    x = noise(9, 48)
    for rows in ([8], [0, 3, 4], [5, 5, 1], list(range(9))):
        program, y = steps.program(2), np.zeros_like(x)
        program.add(Step("wanted", {"x": x}, {"y": y}, of_wanted=True))
        steps.run(program, 9, 2, wanted=np.asarray(rows, np.int32))
        np.testing.assert_array_equal(y[: len(rows)], x[rows])
        assert not y[len(rows) :].any()
