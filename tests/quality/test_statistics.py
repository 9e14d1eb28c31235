"""Standard errors of means and of functions of them, against NumPy and sampling."""

from __future__ import annotations

import math

import numpy as np
import pytest

from llamacy.quality.statistics import (
    Distribution,
    Estimate,
    Paired,
    exponential,
    mean,
    root,
    share,
)

RNG = np.random.default_rng(1)


def test_the_error_of_a_mean_is_the_spread_of_repeated_means() -> None:
    values = RNG.standard_normal((4000, 50))
    errors = [mean(row).error for row in values]
    assert np.mean(errors) == pytest.approx(values.mean(axis=1).std(), rel=0.05)


def test_the_error_of_a_single_value_is_nan() -> None:
    assert mean(np.ones(1)).value == 1
    assert math.isnan(mean(np.ones(1)).error)
    assert math.isnan(share(np.ones(1, np.bool_)).error)


def test_errors_scale_with_the_derivative_of_a_function() -> None:
    small = Estimate(2.0, 1e-6)
    for function, derivative in (
        (exponential, math.exp(2)),
        (root, 0.5 / math.sqrt(2)),
    ):
        assert function(small).error == pytest.approx(1e-6 * derivative)
    assert exponential(Estimate(1000.0, 1.0)).value == math.inf
    assert root(Estimate(0.0, 0.0)) == (0.0, 0.0)


def test_a_difference_of_correlated_values_has_a_smaller_error() -> None:
    base = RNG.exponential(size=400)
    ours = base + 0.1 * RNG.standard_normal(400)
    paired = Paired.of(ours, base)
    assert paired.correlation == pytest.approx(np.corrcoef(ours, base)[0, 1])
    assert paired.log_ratio.value == pytest.approx((ours - base).mean())
    assert paired.log_ratio.error == pytest.approx(mean(ours - base).error)
    assert paired.difference.error < 0.3 * exponential(paired.first).error


def test_equal_values_have_a_difference_of_zero_without_error() -> None:
    values = RNG.exponential(size=100)
    paired = Paired.of(values, values)
    for estimate in (paired.log_ratio, paired.difference):
        assert estimate.value == 0
        assert estimate.error == pytest.approx(0, abs=1e-7)


def test_the_correlation_with_a_constant_is_nan() -> None:
    assert math.isnan(Paired.of(np.ones(5), np.arange(5.0)).correlation)


def test_a_distribution_has_median_extremes_and_percentiles() -> None:
    spread = Distribution.of(np.arange(1001.0)[::-1])
    assert (spread.minimum, spread.median, spread.maximum) == (0, 500, 1000)
    assert spread.percentiles[99.9] == pytest.approx(999)
    assert spread.percentiles[5.0] == pytest.approx(50)
    assert list(spread.percentiles) == sorted(spread.percentiles, reverse=True)
