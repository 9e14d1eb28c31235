"""Matrix products at every level, against float64 on the dequantised weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.ggml.types import GGMLType
from llamacy.kernels import available, weight_reading
from llamacy.kernels.packing.matrices import TYPE_NAMES

if TYPE_CHECKING:
    from tests.kernels.conftest import Array, Matrix, Steps

MakeMatrix = Callable[..., "Matrix"]
Tolerance = Callable[..., float]
RelativeError = Callable[[NDArray[Any], NDArray[Any]], float]

each_type = pytest.mark.parametrize("type_name", TYPE_NAMES)
# These differ from IQ2_S and TQ2_0 in the file alone, and not as they are packed.
SAME_FORM = ("IQ2_XXS", "IQ2_XS", "TQ1_0")
each_form = pytest.mark.parametrize(
    "type_name", [name for name in TYPE_NAMES if name not in SAME_FORM]
)
# One of each way that codes, scales and activations meet.
some_types = pytest.mark.parametrize(
    "type_name", ["F32", "F16", "Q8_0", "Q4_0", "Q4_K", "Q6_K", "MXFP4", "IQ2_S"]
)
ROWS = (1, 2, 3, 4, 5, 8, 15, 16, 17, 31, 32, 33, 70)


def activations(m: int, k: int, seed: int = 1) -> Array:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((m, k), dtype=np.float32)


def product(x: Array, weight: Matrix) -> NDArray[np.float64]:
    wide: NDArray[np.float64] = x.astype(np.float64) @ weight.floats.T.astype(
        np.float64
    )
    return wide


def deviation(got: Array, x: Array, weight: Matrix) -> float:
    """Root-mean-square error in units of what independent factors would give.

    That is |x| |w| / sqrt(K) for each output, and not the output itself, which may
    be small because its terms cancel.
    """
    norms = np.outer(
        np.linalg.norm(x.astype(np.float64), axis=1),
        np.linalg.norm(weight.floats.astype(np.float64), axis=1),
    )
    errors = (got - product(x, weight)) / norms * np.sqrt(x.shape[1])
    return float(np.sqrt(np.mean(np.square(errors))))


def spread(m: int, n: int) -> float:
    """How much more than the tolerance few outputs may deviate: they do not average."""
    return 1.2 if m >= 5 and n >= 15 else 3


def size(x: Array, weight: Matrix) -> NDArray[np.float64]:
    """Size of a product if its terms had random signs: errors are relative to it."""
    squares: NDArray[np.float64] = np.square(x, dtype=np.float64) @ np.square(
        weight.floats.T, dtype=np.float64
    )
    return np.sqrt(squares)


def error(
    got: NDArray[Any], want: NDArray[np.float64], sizes: NDArray[np.float64]
) -> float:
    """Root-mean-square error over that of the sizes; few values may stray further."""
    assert got.shape == want.shape == sizes.shape
    relative = np.linalg.norm(got - want) / np.linalg.norm(sizes)
    return float(relative / (1 + 2 / np.sqrt(got.size)))


def silu(x: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):  # the quotient is 0 then
        wide: NDArray[np.float64] = x / (1 + np.exp(-x))
    return wide


def gated_size(
    gate: NDArray[np.float64],
    up: NDArray[np.float64],
    gate_size: NDArray[np.float64],
    up_size: NDArray[np.float64],
) -> NDArray[np.float64]:
    """By how much silu(gate) * up goes with gate and up; silu's slope is at most 1.1.

    A few products are far greater than the others, so that errors average less.
    """
    return np.hypot(1.1 * gate_size * up, silu(gate) * up_size)


@each_type
def test_every_number_of_rows(
    steps: Steps, matrix: MakeMatrix, tolerance: Tolerance, type_name: str
) -> None:
    weight, x = matrix(type_name, 37, 512), activations(max(ROWS), 512)
    for m in ROWS:
        got = deviation(steps.linear(x[:m], weight), x[:m], weight)
        assert got <= spread(m, 37) * tolerance(steps.level, type_name), m


@each_form
def test_every_tail(
    steps: Steps, matrix: MakeMatrix, tolerance: Tolerance, type_name: str
) -> None:
    """N with full and partial panels, one, four and more; K of one block and more."""
    block = GGMLType[type_name].block_size
    widths = [block, 3 * block] if block > 1 else [1, 5, 31, 32, 33, 100, 160]
    shapes = [(n, k) for n in (1, 16, 65) for k in widths]
    shapes += [(n, 4 * max(block, 32)) for n in (15, 17, 63, 64, 79, 130)]
    for n, k in shapes:
        weight = matrix(type_name, n, k)
        for m in (1, 6, 33):
            x = activations(m, k)
            y = steps.linear(x, weight)
            assert y.shape == (m, n)
            most = spread(m, n) * tolerance(steps.level, type_name)
            assert deviation(y, x, weight) <= most, (m, n, k)


@pytest.mark.parametrize("type_name", ["F32", "BF16", "Q8_0", "Q5_1", "Q3_K"])
def test_wide_and_high(
    steps: Steps, matrix: MakeMatrix, tolerance: Tolerance, type_name: str
) -> None:
    """Past the blocks that tiles go by: 256 outputs, 512 columns, 512 rows."""
    weight, x = matrix(type_name, 277, 1280), activations(545, 1280)
    got = steps.linear(x, weight, n_threads=2)
    want, sizes = product(x, weight), size(x, weight)
    for rows in (slice(0, 545), slice(0, 32), slice(480, 545)):
        assert error(got[rows], want[rows], sizes[rows]) <= tolerance(
            steps.level, type_name
        )


@each_form
def test_outlier_channels(
    steps: Steps, matrix: MakeMatrix, tolerance: Tolerance, type_name: str
) -> None:
    """A few channels a hundred times the others, as language models have them."""
    weight, x = matrix(type_name, 37, 512), activations(33, 512)
    x[:, [7, 300]] *= 100
    most = tolerance(steps.level, type_name, has_outliers=True)
    for m in (1, 5, 33):
        y = steps.linear(x[:m], weight)
        assert deviation(y, x[:m], weight) <= spread(m, 37) * most


@pytest.mark.parametrize("k", [128, 384, 1280])
def test_a_single_row_of_signs(steps: Steps, matrix: MakeMatrix, k: int) -> None:
    """Sums that are looked up are those of products: 71 panels, whole blocks or not."""
    signs, others = matrix("Q1_0", 1125, k), matrix("Q1_0", 1125, k, seed=1)
    nibbles, bias = matrix("Q4_0", 1125, k), activations(1, 1125)[0]
    x, before = activations(2, k), activations(2, 1125)
    x[1, : k // 2] = np.sign(x[1, : k // 2])  # all of the largest size
    for weight, weight2 in ((signs, None), (signs, others), (signs, nibbles)):
        for form in ("store", "add") if weight2 is None else ("swiglu",):
            rows = [
                steps.linear(
                    *(x[some], weight),
                    form=form,
                    bias=bias,
                    weight2=weight2,
                    before=before[some],
                )
                for some in (slice(0, 1), slice(1, 2), slice(0, 2))
            ]
            np.testing.assert_array_equal(np.concatenate(rows[:2]), rows[2])


@some_types
def test_large_and_small_activations(
    steps: Steps, matrix: MakeMatrix, tolerance: Tolerance, type_name: str
) -> None:
    weight, x = matrix(type_name, 37, 256), activations(33, 256)
    want, sizes = product(x, weight), size(x, weight)
    for scale in (1e-12, 1e12):
        for m in (1, 33):
            got = steps.linear(x[:m] * np.float32(scale), weight)
            wide = got.astype(np.float64) / scale
            assert error(wide, want[:m], sizes[:m]) <= tolerance(steps.level, type_name)


@some_types
def test_zeros_give_zeros(steps: Steps, matrix: MakeMatrix, type_name: str) -> None:
    weight = matrix(type_name, 37, 256)
    for m in (1, 5, 33):
        x = np.zeros((m, 256), np.float32)
        assert not steps.linear(x, weight).any()
        x[:, ::3] = 1e-42  # subnormal: too small to be divided by
        assert np.abs(steps.linear(x, weight)).max() < 1e-30


@some_types
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_spoils_its_row_alone(
    steps: Steps, matrix: MakeMatrix, type_name: str, bad: float
) -> None:
    weight = matrix(type_name, 37, 256)
    for m in (3, 40):
        x = activations(m, 256)
        clean = steps.linear(x, weight)
        x[1, 77] = bad
        got = steps.linear(x, weight)
        rest = [row for row in range(m) if row != 1]
        np.testing.assert_array_equal(got[rest], clean[rest])
        assert not np.isfinite(got[1]).any()


@pytest.mark.parametrize("type_name", ["F32", "F16", "BF16"])
def test_a_weight_that_is_not_finite_spoils_its_output_alone(
    steps: Steps, matrix: MakeMatrix, type_name: str
) -> None:
    weight, bad = (type(matrix("F32", 1, 1))(type_name, 37, 256) for _ in range(2))
    whole = bad.data.view(np.uint32 if type_name == "F32" else np.uint16)
    for row, bits in ((5, 0x7F80), (20, 0xFF80), (33, 0x7FC0)):
        if type_name == "F16":
            bits = {0x7F80: 0x7C00, 0xFF80: 0xFC00, 0x7FC0: 0x7E00}[bits]
        whole[row * 256 + 77] = bits << 16 if type_name == "F32" else bits
    bad.packed = bad.pack()
    rest = [n for n in range(37) if n not in (5, 20, 33)]
    for m in (1, 3, 40):
        x = activations(m, 256)
        clean, got = steps.linear(x, weight), steps.linear(x, bad)
        np.testing.assert_array_equal(got[:, rest], clean[:, rest])
        assert not np.isfinite(got[:, [5, 20, 33]]).any()


@some_types
def test_epilogues_and_biases(
    steps: Steps, matrix: MakeMatrix, tolerance: Tolerance, type_name: str
) -> None:
    rng = np.random.default_rng(2)
    weight, weight2 = matrix(type_name, 37, 256), matrix(type_name, 37, 256, seed=1)
    bias, bias2 = rng.standard_normal((2, 37), dtype=np.float32)
    for m in (1, 2, 5, 17, 33):
        # of the size that makes all of the sigmoid's range count
        x = activations(m, 256) * np.float32(0.1)
        before = rng.standard_normal((m, 37), dtype=np.float32)
        gate, up = product(x, weight), product(x, weight2)
        gate_size, up_size = size(x, weight), size(x, weight2)
        most = tolerance(steps.level, type_name)
        for b, b2 in ((None, None), (bias, bias2)):
            g, u = (gate, up) if b is None or b2 is None else (gate + b, up + b2)
            got = steps.linear(x, weight, bias=b)
            assert error(got, g, gate_size) <= most
            got = steps.linear(x, weight, form="add", bias=b, before=before)
            assert error(got, before + g, gate_size) <= most
            got = steps.linear(
                x, weight, form="swiglu", bias=b, weight2=weight2, bias2=b2
            )
            sizes = gated_size(g, u, gate_size, up_size)
            assert error(got, silu(g) * u, sizes) <= 2 * most, m


@each_form
def test_a_scale_multiplies_the_product_and_not_the_bias(
    steps: Steps, matrix: MakeMatrix, type_name: str
) -> None:
    """Exactly, since a power of two rounds nothing; by few rows and by blocks."""
    weight, weight2 = (matrix(type_name, 37, 512, seed) for seed in (0, 1))
    bias, bias2 = activations(2, 37)
    two, half = (np.full(1, x, np.float32) for x in (2, 0.5))
    for m in (1, 5, 40):
        x = activations(m, 512) * np.float32(0.1)
        got = steps.linear(x, weight, scale=two, bias=bias)
        np.testing.assert_array_equal(got, 2 * steps.linear(x, weight) + bias)
        got = steps.linear(
            *(x, weight),
            form="swiglu",
            scale=two,
            bias=2 * bias,
            weight2=weight2,
            scale2=half,
            bias2=bias2 / 2,
        )
        gate = steps.linear(x, weight, scale=two, bias=2 * bias)
        up = steps.linear(x, weight2, scale=half, bias=bias2 / 2)
        want = silu(gate.astype(np.float64)) * up
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_clamped_swiglu(
    steps: Steps, matrix: MakeMatrix, relative_error: RelativeError
) -> None:
    """Beyond the limits and within them, and of what is not a number."""
    weight, weight2 = matrix("F32", 70, 64), matrix("F32", 70, 64, seed=1)
    for m in (1, 5, 40):
        x = activations(m, 64)  # products are about 8
        got = steps.linear(x, weight, form="clamped_swiglu", weight2=weight2)
        g, u = product(x, weight), product(x, weight2)
        assert g.max() > 7 and np.abs(u).max() > 7
        gate = np.minimum(g, 7)
        want = gate / (1 + np.exp(-1.702 * gate)) * (np.clip(u, -7, 7) + 1)
        assert relative_error(got, want) <= 1e-5
    x = activations(3, 64)
    x[1] = np.nan
    got = steps.linear(x, weight, form="clamped_swiglu", weight2=weight2)
    assert np.isnan(got[1]).all() and np.isfinite(got[[0, 2]]).all()


@pytest.mark.parametrize("types", [("F32", "Q4_K"), ("Q8_0", "F16"), ("Q4_0", "Q6_K")])
def test_gate_and_up_of_different_types(
    steps: Steps,
    matrix: MakeMatrix,
    tolerance: Tolerance,
    types: tuple[str, str],
) -> None:
    gate, up = matrix(types[0], 70, 256), matrix(types[1], 70, 256)
    # a tile is made for both or for neither
    most = max(tolerance(steps.level, name) for name in types)
    for m in (1, 5, 40):
        x = activations(m, 256) * np.float32(0.1)
        got = steps.linear(x, gate, form="swiglu", weight2=up)
        g, u = product(x, gate), product(x, up)
        sizes = gated_size(g, u, size(x, gate), size(x, up))
        assert error(got, silu(g) * u, sizes) <= 2 * most


@some_types
def test_gelu_gates(
    steps: Steps, matrix: MakeMatrix, tolerance: Tolerance, type_name: str
) -> None:
    """With biases and a last panel that is not full, by few rows and by blocks."""
    gate, up = (matrix(type_name, 70, 256, seed) for seed in (0, 1))
    b, b2 = activations(2, 70) * np.float32(0.1)
    for m in (1, 5, 40):
        x = activations(m, 256) * np.float32(0.1)
        got = steps.linear(x, gate, form="geglu", bias=b, weight2=up, bias2=b2)
        g, u = product(x, gate) + b, product(x, up) + b2
        z = np.sqrt(2 / np.pi) * (g + 0.044715 * g**3)
        sizes = gated_size(g, u, size(x, gate), size(x, up))
        most = 2 * tolerance(steps.level, type_name)
        assert error(got, g * (1 + np.tanh(z)) / 2 * u, sizes) <= most


@each_form
def test_a_row_depends_on_nothing_but_itself(
    steps: Steps, matrix: MakeMatrix, type_name: str
) -> None:
    """Not on its place, nor on how many are read together, unless they go to tiles."""
    weight, x = matrix(type_name, 133, 512), activations(70, 512)
    alone = np.concatenate([steps.linear(row[None], weight) for row in x])
    most = 31 if steps.has_tiles else 70
    for m in (2, 3, 5, 12, 13, 16, 17, 31, 33, 70):
        if m <= most:
            np.testing.assert_array_equal(steps.linear(x[:m], weight), alone[:m])
            got = steps.linear(x[::-1][:m].copy(), weight)
            np.testing.assert_array_equal(got, alone[::-1][:m])
    together = steps.linear(x, weight)
    np.testing.assert_array_equal(steps.linear(x[::-1].copy(), weight), together[::-1])


# of 16 KiB and more, and with a part of a block where the type allows it
@pytest.mark.parametrize("ahead", [0, 3072])
@pytest.mark.parametrize(
    ("type_name", "k"), [("Q8_0", 1056), ("Q4_0", 2016), ("Q4_K", 2048), ("Q6_K", 1792)]
)
def test_a_single_row_of_long_panels(
    steps: Steps,
    matrix: MakeMatrix,
    monkeypatch: pytest.MonkeyPatch,
    type_name: str,
    k: int,
    ahead: int,
) -> None:
    """Copied for a run of panels, or with two of them in turn: as beside other rows."""
    monkeypatch.setattr(weight_reading, "_selection", lambda: (ahead, ""))
    weight, weight2 = matrix(type_name, 69, k), matrix(type_name, 69, k, seed=1)
    x = activations(3, k)
    x[:, 5::100] *= 20  # units with two digits, and others
    options: dict[str, Any] = {"form": "swiglu", "weight2": weight2}
    for each in ({}, options):
        together = steps.linear(x, weight, **each)
        np.testing.assert_array_equal(steps.linear(x[:1], weight, **each), together[:1])


@each_form
def test_panels_read_in_pairs(
    steps: Steps, matrix: MakeMatrix, monkeypatch: pytest.MonkeyPatch, type_name: str
) -> None:
    """Of an even or odd number, with part of a block: as one by one."""
    k = 800 if type_name in ("Q4_0", "Q8_0") else 768
    x = activations(15, k)
    x[:, 5::100] *= 20  # units with two digits, and others
    for n in (16, 64, 101):
        weight, weight2 = matrix(type_name, n, k), matrix(type_name, n, k, seed=1)
        gate: dict[str, Any] = {"form": "swiglu", "weight2": weight2}
        for m in (1, 2, 3, 4, 5, 8, 11, 12, 13):
            for options in ({}, gate):
                monkeypatch.setattr(weight_reading, "_selection", lambda: (0, ""))
                want = steps.linear(x[:m], weight, **options)
                for ahead in (64, 3072, 1 << 20) if m in (1, 4) else (3072,):
                    chosen = (ahead, "")
                    monkeypatch.setattr(
                        weight_reading, "_selection", lambda c=chosen: c
                    )
                    got = steps.linear(x[:m], weight, **options)
                    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("m", [1, 3, 8])
def test_pairs_beside_floats(
    steps: Steps, matrix: MakeMatrix, monkeypatch: pytest.MonkeyPatch, m: int
) -> None:
    """Where one matrix of a gated product is quantised, and the other is not."""
    x = activations(m, 256)
    weights = matrix("Q4_0", 64, 256), matrix("F16", 64, 256)
    for weight, weight2 in (weights, weights[::-1]):
        options: dict[str, Any] = {"form": "swiglu", "weight2": weight2}
        monkeypatch.setattr(weight_reading, "_selection", lambda: (0, ""))
        want = steps.linear(x, weight, **options)
        monkeypatch.setattr(weight_reading, "_selection", lambda: (3072, ""))
        got = steps.linear(x, weight, **options)
        np.testing.assert_array_equal(got, want)


@some_types
@pytest.mark.parametrize("form", ["store", "add", "swiglu", "geglu"])
def test_threads_make_no_difference(
    steps: Steps, matrix: MakeMatrix, type_name: str, form: str
) -> None:
    weight, weight2 = matrix(type_name, 530, 256), matrix(type_name, 530, 256, seed=1)
    for m in (1, 17, 40):
        x, before = activations(m, 256), activations(m, 530)
        options: dict[str, Any] = {"form": form, "before": before}
        if form in ("swiglu", "geglu"):
            options["weight2"] = weight2
        alone = steps.linear(x, weight, **options)
        for n_threads in (2, 3):
            got = steps.linear(x, weight, n_threads=n_threads, **options)
            np.testing.assert_array_equal(got, alone)


@each_form
def test_levels_agree(
    steps_of: Callable[[str], Steps],
    matrix: MakeMatrix,
    relative_error: RelativeError,
    type_name: str,
) -> None:
    """Levels without tiles differ only in how sums are rounded.

    And in whether 16-bit floats are multiplied in fixed point, and in digits left out.
    """
    weight, x = matrix(type_name, 37, 512), activations(17, 512)
    x[:, 7] *= 100
    names = [each.name for each in available() if not steps_of(each.name).has_tiles]
    for m in (1, 4, 17):
        want = steps_of("scalar").linear(x[:m], weight)
        for name in names:
            got = steps_of(name).linear(x[:m], weight)
            most = 1e-5
            if type_name in ("F16", "BF16") and steps_of(name).has_fixed:
                most = 3e-4
            elif type_name == "Q8_0" and steps_of(name).skips_digits:
                most = 0.006
            assert relative_error(got, want) <= most, name
