"""Means with their errors, and percentiles: results as llama.cpp names them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

PERCENTILES: Final = (99.9, 99.0, 95.0, 90.0, 75.0, 25.0, 10.0, 5.0, 1.0, 0.1)


class Estimate(NamedTuple):
    """A value and the standard error of it; NaN where there are too few to tell."""

    value: float
    error: float


@dataclass(frozen=True, slots=True)
class Perplexity:
    """How many tokens a model hesitates between, on average over a text.

    Attributes
    ----------
    value : the perplexity.
    error : its standard error, which llama.cpp writes after ``+/-``.
    n_chunks : chunks that were read.
    n_ctx : tokens of each.
    n_scored : predictions that counted.
    running : the perplexity after each chunk, of it and those before.
    """

    value: float
    error: float
    n_chunks: int
    n_ctx: int
    n_scored: int
    running: tuple[float, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Distribution:
    """How values are spread.

    Attributes
    ----------
    mean : with its error.
    median, minimum, maximum : of all.
    percentiles : by percent, 99.9 down to 0.1: what so many of a hundred are below.
    """

    mean: Estimate
    median: float
    minimum: float
    maximum: float
    percentiles: dict[float, float]

    @classmethod
    def of(cls, values: Values) -> Distribution:
        """Describe `values`, (n,)."""
        found = np.percentile(values, PERCENTILES)
        return cls(
            mean(values),
            float(np.median(values)),
            float(values.min()),
            float(values.max()),
            dict(zip(PERCENTILES, map(float, found), strict=True)),
        )


@dataclass(frozen=True, slots=True)
class KLDivergence:
    """How far a model's predictions of a text are from those of another, the base.

    Probabilities and shares are from 0 to 1, where llama.cpp prints percent.

    Attributes
    ----------
    perplexity, base_perplexity : of this model and of the base: PPL(Q), PPL(base).
    correlation : of the logarithms of the two, over the predictions.
    log_ratio, ratio, difference : of the two: ln(PPL(Q)/PPL(base)), PPL(Q)/PPL(base),
        PPL(Q)-PPL(base). Their errors are smaller than those of each alone.
    kld : Kullback-Leibler divergence of each prediction, in nats.
    p_diff : Δp, by how much more the token that came was expected than by the base.
    rms_p_diff : root of the mean square of Δp.
    same_top : share of predictions in which both find the same token likeliest.
    n_chunks, n_ctx, n_scored : as :class:`Perplexity` has them.
    """

    perplexity: Estimate
    base_perplexity: Estimate
    correlation: float
    log_ratio: Estimate
    ratio: Estimate
    difference: Estimate
    kld: Distribution
    p_diff: Distribution
    rms_p_diff: Estimate
    same_top: Estimate
    n_chunks: int
    n_ctx: int
    n_scored: int


def mean(values: Values) -> Estimate:
    """Mean of `values`, (n,), and its standard error."""
    n = len(values)
    error = math.sqrt(values.var() / (n - 1)) if n > 1 else math.nan
    return Estimate(float(values.mean()), error)


def exponential(log: Estimate) -> Estimate:
    """Exponential of an estimate; infinite where a float cannot hold it."""
    with np.errstate(over="ignore", invalid="ignore"):
        value = float(np.exp(log.value))
        return Estimate(value, float(np.multiply(value, log.error)))


def root(square: Estimate) -> Estimate:
    """Square root of an estimate."""
    value = math.sqrt(square.value)
    return Estimate(value, 0.5 * square.error / value if value else 0.0)


def share(is_so: NDArray[np.bool_]) -> Estimate:
    """Share of True, and its standard error."""
    n, value = len(is_so), float(is_so.mean())
    return Estimate(
        value, math.sqrt(value * (1 - value) / (n - 1)) if n > 1 else math.nan
    )


class Paired(NamedTuple):
    """Two models' negative log-likelihoods of the same tokens, as one thing."""

    first: Estimate
    second: Estimate
    covariance: float  # of the two means

    @classmethod
    def of(cls, first: Values, second: Values) -> Paired:
        """Compare values of the same tokens, (n,)."""
        n = len(first)
        together = (first - first.mean()) * (second - second.mean())
        covariance = float(together.mean()) / (n - 1) if n > 1 else math.nan
        return cls(mean(first), mean(second), covariance)

    @property
    def correlation(self) -> float:
        """From -1 to 1; NaN where one of the two does not vary."""
        scale = self.first.error * self.second.error
        return self.covariance / scale if scale else math.nan

    @property
    def log_ratio(self) -> Estimate:
        """Difference of the means: logarithm of the perplexities' ratio."""
        return Estimate(self.first.value - self.second.value, self._error(1.0, 1.0))

    @property
    def difference(self) -> Estimate:
        """Difference of the perplexities."""
        first, second = exponential(self.first), exponential(self.second)
        value = first.value - second.value
        return Estimate(value, self._error(first.value, second.value))

    def _error(self, a: float, b: float) -> float:
        """Error of a times the first mean less b times the second."""
        first, second = a * self.first.error, b * self.second.error
        variance = first * first + second * second - 2 * a * b * self.covariance
        # rounding may leave less than nothing where the two are the same
        return math.sqrt(variance) if not variance < 0 else 0.0
