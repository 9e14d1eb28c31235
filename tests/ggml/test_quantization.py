"""Quantising gives ggml's bytes where there is one answer, and else small errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.errors import ArgumentError
from llamacy.ggml.quantization import _CHUNK, QUANTIZERS, WEIGHTED, quantize
from llamacy.ggml.types import GGMLType, dequantize

gguf = pytest.importorskip("gguf")

Weights = NDArray[np.float32]

K_TYPES = [each for each in QUANTIZERS if each.name.endswith("_K")]
# the types of a few bits, whose codes are points of a codebook or uneven values
IQ_TYPES = [each for each in QUANTIZERS if each.name.startswith("IQ")]
EXACT_TYPES = [each for each in QUANTIZERS if each not in (*K_TYPES, *IQ_TYPES)]
LARGER_TYPES = [each for each in EXACT_TYPES if 32 < each.block_size < 256]


def each(types: Iterable[GGMLType]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("ggml_type", types, ids=lambda one: one.name)


def noise(n_rows: int = 64, n_in: int = 512, seed: int = 0) -> Weights:
    rng = np.random.default_rng(seed)
    return (0.02 * rng.standard_normal((n_rows, n_in))).astype(np.float32)


def hostile() -> Weights:
    """Rows of 256 weights whose scales are tiny or huge."""
    rng = np.random.default_rng(1)
    rows = np.zeros((14, 256), np.float32)
    rows[1, 77] = 3.5  # one outlier
    rows[2, 77] = -3.5
    rows[3] = rng.standard_normal(256)
    rows[3, 5] = 1000.0
    rows[4] = 1e-6 * rng.standard_normal(256)  # scales are subnormal in float16
    rows[5] = 0.25
    rows[6] = -0.25
    rows[7] = np.abs(rng.standard_normal(256))
    rows[8] = -np.abs(rng.standard_normal(256))
    rows[9] = rng.choice([-1.0, 1.0], 256)
    rows[10] = 10.0 + rng.standard_normal(256)
    rows[11, ::2] = -0.0
    rows[12] = np.where(np.arange(256) < 16, 1.0, 1e-3) * rng.standard_normal(256)
    rows[13] = 1e-42 * rng.standard_normal(256)  # subnormal in float32
    return rows


def round_trip(weights: Weights, ggml_type: GGMLType) -> Weights:
    return dequantize(quantize(weights, ggml_type), ggml_type, weights.shape)


def relative_error(weights: Weights, ggml_type: GGMLType) -> float:
    off = round_trip(weights, ggml_type) - weights
    return float(np.sqrt((off**2).mean() / (weights**2).mean()))


@each([each for each in EXACT_TYPES if each not in LARGER_TYPES])
@pytest.mark.parametrize("make", [noise, hostile], ids=["noise", "hostile"])
def test_simple_types_have_the_bytes_of_gguf(
    ggml_type: GGMLType, make: Callable[[], Weights]
) -> None:
    weights = make()
    if make is hostile:
        weights = weights[:-1]  # gguf divides by numbers next to zero
    with np.errstate(all="ignore"):
        want = gguf.quants.quantize(weights, gguf.GGMLQuantizationType(ggml_type))
    got = quantize(weights, ggml_type)
    np.testing.assert_array_equal(got, np.ravel(want.view(np.uint8)))


@each(LARGER_TYPES)
def test_larger_blocks_have_the_bytes_of_llama_cpp(
    ggml_type: GGMLType, llama_cpp_blocks: Mapping[str, NDArray[Any]]
) -> None:
    """Of weights of many sizes, of halves between codes, and of subnormal scales."""
    got = quantize(llama_cpp_blocks["floats"], ggml_type)
    want = llama_cpp_blocks[f"{ggml_type.name}_quantised"]
    np.testing.assert_array_equal(got, want.reshape(-1))


def test_halves_are_rounded_like_in_ggml() -> None:
    """Floats round halves to even, blocks up, and Q8_0 away from zero."""
    between = np.array([1 + 2**-8, 1 + 3 * 2**-8], np.float32)
    assert round_trip(between, GGMLType.BF16).tolist() == [1, 1 + 2**-6]
    between = np.array([1 + 2**-11, 1 + 3 * 2**-11], np.float32)
    assert round_trip(between, GGMLType.F16).tolist() == [1, 1 + 2**-9]
    block = np.zeros(32, np.float32)
    block[:5] = np.array([127, 0.5, -0.5, 1.5, 0.49999997], np.float32)
    assert round_trip(block, GGMLType.Q8_0)[:5].tolist() == [127, 1, -1, 2, 0]
    block[:3] = [-8, 0.5, -0.5]
    block[3:] = 0
    assert round_trip(block, GGMLType.Q4_0)[:3].tolist() == [-8, 1, 0]


@each(EXACT_TYPES)
def test_weights_that_a_type_can_represent_stay_the_same(ggml_type: GGMLType) -> None:
    # of a size at which no scale of NVFP4 is subnormal
    once = round_trip(noise() * np.float32(8), ggml_type)
    np.testing.assert_array_equal(round_trip(once, ggml_type), once)


@each(K_TYPES)
def test_quantising_a_second_time_changes_little(ggml_type: GGMLType) -> None:
    once = round_trip(noise(), ggml_type)
    assert relative_error(once, ggml_type) < 0.5 * relative_error(noise(), ggml_type)


# Root mean square of the errors, relative to that of seeded normal noise; with a
# margin of 1 %. The comments give llama.cpp's errors on the same noise.
ERRORS = {
    GGMLType.F32: 0.0,
    GGMLType.F16: 0.00021,
    GGMLType.BF16: 0.0017,
    GGMLType.Q8_0: 0.0055,
    GGMLType.Q4_0: 0.0932,
    GGMLType.Q4_1: 0.0823,
    GGMLType.Q5_0: 0.0455,
    GGMLType.Q5_1: 0.0399,
    GGMLType.NVFP4: 0.1050,  # scales have one or two bits at this size
    GGMLType.Q2_0: 0.7250,
    GGMLType.Q1_0: 0.6190,
    GGMLType.Q2_K: 0.2707,  # 0.2968
    GGMLType.Q3_K: 0.1525,  # 0.1510
    GGMLType.Q4_K: 0.0714,  # 0.0714
    GGMLType.Q5_K: 0.0351,  # 0.0361
    GGMLType.Q6_K: 0.0177,  # 0.0178
    GGMLType.IQ4_NL: 0.0768,  # 0.0763
    GGMLType.IQ4_XS: 0.0774,  # 0.0769
    GGMLType.IQ3_S: 0.1511,  # 0.1661
    GGMLType.IQ3_XXS: 0.2047,  # 0.2138
    GGMLType.IQ2_S: 0.2678,  # 0.2657
    GGMLType.IQ2_XS: 0.3225,
    GGMLType.IQ2_XXS: 0.3822,
    GGMLType.IQ1_M: 0.5095,  # 0.5833
    GGMLType.IQ1_S: 0.5533,
    GGMLType.MXFP4: 0.1172,
    GGMLType.TQ1_0: 0.8166,
    GGMLType.TQ2_0: 0.8166,
}


@each(QUANTIZERS)
def test_errors_on_noise_are_small(ggml_type: GGMLType) -> None:
    assert relative_error(noise(256), ggml_type) <= ERRORS[ggml_type]


@each(K_TYPES)
@pytest.mark.parametrize("factor", [1e-2, 1e2])
def test_errors_do_not_depend_on_the_scale(ggml_type: GGMLType, factor: float) -> None:
    """Not even if d is among the few subnormal numbers of float16."""
    weights = noise() * np.float32(factor)
    assert relative_error(weights, ggml_type) < 2 * ERRORS[ggml_type]


@each(QUANTIZERS)
def test_hostile_rows_have_finite_and_bounded_errors(ggml_type: GGMLType) -> None:
    """No error is larger than that of zeros, and no result is NaN.

    Points of IQ2_XXS have no zeros, which costs a little in a row of one outlier.
    """
    weights = hostile()
    got = round_trip(weights, ggml_type)
    assert np.isfinite(got).all()
    off, power = ((got - weights) ** 2).sum(axis=1), (weights**2).sum(axis=1)
    most = 1.1 if ggml_type == GGMLType.IQ2_XXS else 1
    assert (off <= most * power).all()
    assert not got[0].any()


@each(K_TYPES)
@pytest.mark.parametrize("value", [0.25, -0.25, 1e-3, -300.0])
def test_rows_of_one_value_are_precise(ggml_type: GGMLType, value: float) -> None:
    got = round_trip(np.full((1, 256), value, np.float32), ggml_type)
    np.testing.assert_allclose(got, value, rtol=0.01)


@each(QUANTIZERS)
def test_the_bytes_do_not_depend_on_chunks_and_strides(ggml_type: GGMLType) -> None:
    """In pieces, in three dimensions and with gaps, the bytes are the same."""
    n_rows = 2 * _CHUNK // 256 + 3
    weights = noise(n_rows, 256)
    want = np.concatenate([quantize(row, ggml_type) for row in weights[-5:]])
    got = quantize(weights.reshape(n_rows, 1, 256), ggml_type)
    assert got.dtype == np.uint8
    assert got.ndim == 1
    np.testing.assert_array_equal(got[-len(want) :], want)
    gaps = np.repeat(weights, 2, axis=0)[::2]
    np.testing.assert_array_equal(quantize(gaps, ggml_type), got)
    assert quantize(weights[:0], ggml_type).size == 0


@each(QUANTIZERS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused(ggml_type: GGMLType, value: float) -> None:
    weights = noise(2, 256)
    weights[1, 3] = value
    with pytest.raises(ArgumentError, match=rf"found {value} at \(1, 3\)"):
        quantize(weights, ggml_type)


@each([each for each in QUANTIZERS if each != GGMLType.F32])
def test_weights_too_large_for_a_type_are_refused(ggml_type: GGMLType) -> None:
    largest = np.full(256, np.finfo(np.float32).max)
    too_large = [largest, -largest]
    if ggml_type != GGMLType.BF16:
        too_large.append(noise(1, 256)[0] * np.float32(2**34))
    for weights in too_large:
        with pytest.raises(
            ArgumentError, match=f"within the range of {ggml_type.name}"
        ):
            quantize(weights, ggml_type)
    most = max(0.4, 1.1 * ERRORS[ggml_type])
    assert relative_error(noise(1, 256) * np.float32(2**10), ggml_type) < most


def test_unsuitable_shapes_dtypes_and_types_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(
        ArgumentError, match=r"multiple of 256 .* Q4_K, found \(2, 64\)"
    ):
        quantize(noise(2, 64), GGMLType.Q4_K)
    with pytest.raises(ArgumentError, match=r"found \(\)"):
        quantize(np.array(1, np.float32), GGMLType.F32)
    with pytest.raises(ArgumentError, match="wanted float32, found float64"):
        quantize(noise().astype(np.float64), GGMLType.Q8_0)
    monkeypatch.delitem(QUANTIZERS, GGMLType.IQ4_NL)
    with pytest.raises(ArgumentError, match="wanted one of F32, .* found IQ4_NL"):
        quantize(noise(), GGMLType.IQ4_NL)


def importance(n_in: int = 512, seed: int = 2) -> Weights:
    rng = np.random.default_rng(seed)
    return np.exp(rng.standard_normal(n_in)).astype(np.float32)


def weighted_error(weights: Weights, blocks: NDArray[np.uint8], of: GGMLType) -> float:
    """Error relative to the weights, where columns count by their importance."""
    off, counts = dequantize(blocks, of, weights.shape) - weights, importance()
    return float(np.sqrt((counts * off**2).sum() / (counts * weights**2).sum()))


# Errors on seeded normal noise by importance, with a margin of 1 %; the comments give
# llama.cpp's, with the same importance.
WEIGHTED_ERRORS = {
    GGMLType.Q4_0: 0.0769,  # 0.0764
    GGMLType.Q4_1: 0.0625,  # 0.0619
    GGMLType.Q5_0: 0.0381,  # 0.0381
    GGMLType.Q5_1: 0.0306,  # 0.0304
    GGMLType.Q2_K: 0.2315,  # 0.2300
    GGMLType.Q3_K: 0.1350,  # 0.1330
    GGMLType.Q4_K: 0.0631,  # 0.0629
    GGMLType.Q5_K: 0.0319,  # 0.0329
    GGMLType.Q6_K: 0.0160,  # 0.0160
    GGMLType.IQ4_NL: 0.0687,  # 0.0693
    GGMLType.IQ4_XS: 0.0693,  # 0.0699
    GGMLType.IQ3_S: 0.1093,  # 0.1174
    GGMLType.IQ3_XXS: 0.1463,  # 0.1516
    GGMLType.IQ2_S: 0.2128,  # 0.2245
    GGMLType.IQ2_XS: 0.2403,  # 0.2561
    GGMLType.IQ2_XXS: 0.2786,  # 0.2935
    GGMLType.IQ1_M: 0.3793,  # 0.3831
    GGMLType.IQ1_S: 0.4288,  # 0.4350
}


@each(WEIGHTED)
def test_importance_makes_the_error_that_counts_smaller(ggml_type: GGMLType) -> None:
    weights = noise(32)
    plain = weighted_error(weights, quantize(weights, ggml_type), ggml_type)
    blocks = quantize(weights, ggml_type, importance())
    error = weighted_error(weights, blocks, ggml_type)
    assert error < 0.97 * plain
    assert error <= WEIGHTED_ERRORS[ggml_type]


@each(WEIGHTED)
def test_equal_columns_and_dead_ones_are_no_trouble(ggml_type: GGMLType) -> None:
    """Only relations count, a factor does not; columns of zeros may be anything."""
    weights, counts = noise(4), importance()
    blocks = quantize(weights, ggml_type, counts)
    again = quantize(weights, ggml_type, counts * np.float32(2**-20))
    np.testing.assert_array_equal(again, blocks)
    dead = counts.copy()
    dead[64:] = 0
    got = dequantize(quantize(weights, ggml_type, dead), ggml_type, weights.shape)
    assert np.isfinite(got).all()
    alive = got[:, :64] - weights[:, :64]
    assert np.sqrt((alive**2).mean() / (weights**2).mean()) < 1.5 * ERRORS[ggml_type]
    zeros = quantize(weights, ggml_type, np.zeros_like(counts))
    ones = quantize(weights, ggml_type, np.ones_like(counts))
    np.testing.assert_array_equal(zeros, ones)


def test_types_that_round_each_weight_by_itself_ignore_importance() -> None:
    for ggml_type in set(QUANTIZERS) - set(WEIGHTED):
        want = quantize(noise(2), ggml_type)
        got = quantize(noise(2), ggml_type, importance())
        np.testing.assert_array_equal(got, want)


@each(WEIGHTED)
def test_importance_follows_the_columns_whatever_the_chunks(
    ggml_type: GGMLType,
) -> None:
    n_rows = _CHUNK // 512 + 3
    weights = noise(n_rows)
    want = quantize(weights[-2:], ggml_type, importance())
    got = quantize(weights, ggml_type, importance())
    np.testing.assert_array_equal(got[-len(want) :], want)
