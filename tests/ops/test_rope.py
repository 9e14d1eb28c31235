"""Angles of rotary positions and their scalings, against formulas of other make."""

from __future__ import annotations

import math

import numpy as np
import pytest

from llamacy.config import RopeConfig
from llamacy.ops.rope import Rope, dynamic_angles


def test_unscaled_angles_are_a_geometric_series() -> None:
    rope = Rope.from_config(RopeConfig(n_dims=64, freq_base=500.0), 64)
    assert rope.angles.dtype == np.float32
    assert rope.angles.shape == (32,)
    assert rope.angles[0] == 1
    ratios = rope.angles[1:] / rope.angles[:-1]
    np.testing.assert_allclose(ratios, 500.0 ** (-1 / 32), rtol=1e-6)
    assert rope.magnitude == 1


def test_linear_scaling_stretches_positions() -> None:
    plain = Rope.from_config(RopeConfig(n_dims=32), 32)
    config = RopeConfig(n_dims=32, scaling="linear", factor=4.0)
    positions = np.arange(0, 400, 4, dtype=np.int32)
    for scaled, unscaled in zip(
        Rope.from_config(config, 32).rotations(positions),
        plain.rotations(positions // 4),
        strict=True,
    ):
        np.testing.assert_allclose(scaled, unscaled, atol=1e-5)


def test_frequency_factors_divide() -> None:
    config, factors = RopeConfig(n_dims=16), np.linspace(1, 8, 8, dtype=np.float32)
    plain, divided = Rope.from_config(config, 16), Rope.from_config(config, 16, factors)
    np.testing.assert_allclose(divided.angles, plain.angles / factors, rtol=1e-6)


def yarn(
    n_dims: int, base: float, factor: float, n_ctx: int, fast: float, slow: float
) -> list[float]:
    """Frequencies by the paper: gamma of how often a pair turns within the context.

    Each pair is judged by its place among the pairs, as released code does, with the
    two ends of the ramp rounded outwards to whole pairs.
    """
    frequencies = []
    ends = []
    for turns in (fast, slow):
        # the pair whose wavelength fits `turns` times: base^(2i/n) * 2 pi turns = n_ctx
        ends.append(n_dims * math.log(n_ctx / (turns * 2 * math.pi), base) / 2)
    first, last = max(math.floor(ends[0]), 0), min(math.ceil(ends[1]), n_dims - 1)
    for pair in range(n_dims // 2):
        frequency = 1 / base ** (2 * pair / n_dims)
        gamma = min(max((last - pair) / (last - first), 0), 1)
        frequencies.append(gamma * frequency + (1 - gamma) * frequency / factor)
    return frequencies


@pytest.mark.parametrize(
    ("n_dims", "base", "factor", "n_ctx"),
    [(128, 10000.0, 16.0, 4096), (64, 1e6, 4.0, 32768), (80, 10000.0, 2.0, 2048)],
)
def test_yarn(n_dims: int, base: float, factor: float, n_ctx: int) -> None:
    config = RopeConfig(
        n_dims=n_dims,
        freq_base=base,
        scaling="yarn",
        factor=factor,
        n_ctx_orig=n_ctx,
        ext_factor=1.0,
    )
    rope = Rope.from_config(config, n_dims)
    want = yarn(n_dims, base, factor, n_ctx, 32, 1)
    np.testing.assert_allclose(rope.angles, want, rtol=1e-6)
    assert rope.angles[0] == 1  # the fastest pairs are left as trained
    slowest = base ** (2 / n_dims - 1) / factor  # the slowest are interpolated
    assert rope.angles[-1] == pytest.approx(slowest)
    assert rope.magnitude == pytest.approx(0.1 * math.log(factor) + 1)


def test_yarn_without_extrapolation_is_linear() -> None:
    yarn_config = RopeConfig(n_dims=32, scaling="yarn", factor=4.0, n_ctx_orig=512)
    linear = RopeConfig(n_dims=32, scaling="linear", factor=4.0)
    got, want = (Rope.from_config(each, 32) for each in (yarn_config, linear))
    np.testing.assert_allclose(got.angles, want.angles, rtol=1e-6)
    assert got.magnitude == 1


@pytest.mark.parametrize("n_dims", [8, 4])
def test_both_orders_of_pairs_take_in_the_same_dimensions(n_dims: int) -> None:
    dims = list(range(8))
    for is_neox, distance in ((False, 1), (True, n_dims // 2)):
        rope = Rope.from_config(RopeConfig(n_dims=n_dims, is_neox=is_neox), 8)
        pairs = list(zip(dims[rope.first], dims[rope.second], strict=True))
        assert len(pairs) == len(rope.angles)
        assert all(second - first == distance for first, second in pairs)
        assert sorted(i for pair in pairs for i in pair) == list(range(n_dims))
    assert rope.half == n_dims // 2


def test_rotations() -> None:
    rope = Rope.from_config(RopeConfig(n_dims=8, attn_factor=1.5), 8)
    cosines, sines = rope.rotations(np.array([0, 3], np.int32))
    assert cosines.shape == sines.shape == (2, 4)
    np.testing.assert_array_equal(cosines[0], 1.5)
    assert not sines[0].any()
    np.testing.assert_allclose(cosines[1], 1.5 * np.cos(3 * rope.angles), rtol=1e-6)
    np.testing.assert_allclose(sines[1], 1.5 * np.sin(3 * rope.angles), rtol=1e-6)


def test_dynamic_scaling_raises_the_base_with_the_length() -> None:
    """The base times (factor * length / trained - (factor - 1)) ** (d / (d - 2))."""
    config = RopeConfig(8, 500.0, scaling="dynamic", factor=2.7, n_ctx_orig=16)
    positions, n_long = np.array([3, 15, 16, 3, 40], np.int32), [0, 0, 0, 20, 20]
    found = dynamic_angles(config, positions, np.array(n_long, np.int32))
    assert found.dtype == np.float32
    unscaled = Rope.from_config(config, 8).angles
    pair = np.arange(4)
    for row, length in zip(found, (16, 16, 17, 20, 41), strict=True):
        base = 500 * (2.7 * length / 16 - 1.7) ** (8 / 6)
        np.testing.assert_allclose(row, base ** (-2 * pair / 8), rtol=1e-6)
        assert (length == 16) == np.array_equal(row, unscaled)
    two = RopeConfig(2, scaling="dynamic", factor=2.0, n_ctx_orig=16)
    assert dynamic_angles(two, positions, np.array(n_long, np.int32)).tolist() == (
        [[1.0]] * 5
    )
