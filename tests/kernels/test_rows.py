"""Kernels on rows: norms, rotations, sums, SwiGLU, quantisation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.config import RopeConfig
from llamacy.ops.plan.runtime import Program
from llamacy.ops.plan.step import Step
from llamacy.ops.rope import Rope
from llamacy.ops.state.kv_pages import PAGE
from llamacy.ops.state.layout import StateSlot
from llamacy.ops.state.paged_sequence import PagedSequence
from llamacy.ops.state.pages import PagePool
from llamacy.ops.state.specs import KeyValues

if TYPE_CHECKING:
    from tests.kernels.conftest import Array, Matrix, Steps

WIDTHS = [*range(1, 50), 64, 100, 257]


def noise(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def whole(x: Array) -> Array:
    """`x` with its rows filled up to whole vectors by zeros."""
    return np.pad(x, [(0, 0), (0, -x.shape[1] % 16)])


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


@pytest.mark.parametrize("n", WIDTHS)
def test_gain(steps: Steps, n: int) -> None:
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


# Rotations, which go with the write into the KV cache.


def rotate(
    steps: Steps, rope: Rope, q: Array, k: Array, positions: NDArray[np.int32]
) -> tuple[Array, Array]:
    """Rotated copies of q (M, 3 heads) and k (M, 1 head); one sequence a row."""
    m, d = len(q), rope.head_dim
    program = Program(steps.table, 2)
    slot = StateSlot(KeyValues(0, 1, d, d), "f32", 0)
    pool = PagePool(PAGE, slot.spec.page_bytes("f32"))
    sequence = PagedSequence(pool)
    sequence.reserve(int(positions.max()) + 1)
    q, k, table = whole(q), whole(k), np.zeros((m, 2 * d), np.float32)
    constants = {"angles": rope.angles, "magnitude": rope.magnitude}
    constants |= {"head_dim": d, "half": rope.half, "is_dynamic": False}
    program.add(Step("rope_table", {}, {"table": table}, constants))
    reads = {"v": whole(noise(m, d)), "q_table": table, "k_table": table}
    halves = {"q_half": rope.half, "k_half": rope.half}
    append = Step(
        "append", reads, {"q": q, "k": k, "state": slot}, halves | {"n_head": 3}
    )
    program.add(append, waits=True)
    runs = [(row, 1, position) for row, position in enumerate(positions)]
    program.run(
        np.zeros(m, np.int32),
        positions,
        np.empty(0, np.int32),
        np.asarray(runs, np.int32),
        np.full(m, sequence.page_table, np.uintp),
        np.empty((0, 1), np.float32),
        2,
    )
    return q[:, : 3 * d], k[:, :d]


def rotated(x: Array, rope: Rope, positions: NDArray[np.int32]) -> NDArray[np.float64]:
    """Pairs as complex numbers, times e^(i theta)."""
    heads = x.reshape(len(x), -1, rope.head_dim).astype(np.float64)
    first, second = slice(0, rope.n_dims, 2), slice(1, rope.n_dims, 2)
    if rope.is_neox:
        half = rope.n_dims // 2
        first, second = slice(0, half), slice(half, 2 * half)
    pairs = heads[..., first] + 1j * heads[..., second]
    theta = np.float32(positions[:, None]) * rope.angles  # in float32, as trained
    pairs = pairs * (rope.magnitude * np.exp(1j * theta.astype(np.float64)))[:, None]
    heads[..., first] = pairs.real
    heads[..., second] = pairs.imag
    return heads.reshape(x.shape)


@pytest.mark.parametrize("is_neox", [False, True], ids=["adjacent", "neox"])
@pytest.mark.parametrize("head_dim", [2, 6, 8, 16, 18, 64, 80, 96, 128])
def test_rope(steps: Steps, head_dim: int, is_neox: bool) -> None:
    positions = np.array([0, 1, 2, 17, 31, 32, 1000, 4095], np.int32)
    q, k = noise(8, 3 * head_dim), noise(8, head_dim, seed=1)
    for n_dims in sorted({head_dim, head_dim // 4 * 2 or 2}):
        for magnitude in (1.0, 1.25):
            config = RopeConfig(n_dims, attn_factor=magnitude, is_neox=is_neox)
            rope = Rope.from_config(config, head_dim)
            got_q, got_k = rotate(steps, rope, q, k, positions)
            for got, x in ((got_q, q), (got_k, k)):
                want = rotated(x, rope, positions)
                np.testing.assert_allclose(got, want, rtol=0, atol=3e-6)
                kept = np.arange(x.shape[1]) % head_dim >= n_dims
                np.testing.assert_array_equal(got[:, kept], x[:, kept])
            if magnitude == 1:
                np.testing.assert_array_equal(got_q[0], q[0])


def test_rope_of_what_is_not_finite_stays_in_its_row(steps: Steps) -> None:
    rope = Rope.from_config(RopeConfig(n_dims=16), 16)
    positions = np.array([3, 4, 5], np.int32)
    q, k = noise(3, 48), noise(3, 16, seed=1)
    clean, _ = rotate(steps, rope, q, k, positions)
    q[1, 20] = np.nan
    got, _ = rotate(steps, rope, q, k, positions)
    assert np.isnan(got[1, 20:22]).all()
    assert np.isfinite(got).sum() == got.size - 2
    np.testing.assert_array_equal(got[[0, 2]], clean[[0, 2]])


# Quantised activations, seen through the identity matrix.


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
