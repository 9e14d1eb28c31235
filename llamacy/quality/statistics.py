"""Means with their standard errors, and percentiles, under llama.cpp's names."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

PERCENTILES: Final = (99.9, 99.0, 95.0, 90.0, 75.0, 25.0, 10.0, 5.0, 1.0, 0.1)


class Estimate(NamedTuple):
    """A value and its standard error, which is NaN for fewer than two samples."""

    value: float
    error: float


@dataclass(frozen=True, slots=True)
class Perplexity:
    """The number of tokens that a model hesitates between, on average over a text.

    Attributes
    ----------
    value : float
        The perplexity: exp of the mean negative log-likelihood.
    error : float
        Its standard error, which llama.cpp prints after `+/-`.
    n_chunks : int
        Chunks read.
    n_ctx : int
        Tokens of a chunk.
    n_scored : int
        Predictions that counted.
    running : tuple of float
        After each chunk, the perplexity of all chunks so far.
    """

    value: float
    error: float
    n_chunks: int
    n_ctx: int
    n_scored: int
    running: tuple[float, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Distribution:
    """The distribution of a figure over all predictions.

    Attributes
    ----------
    mean : Estimate
        The mean and its standard error.
    median, minimum, maximum : float
        Of all values.
    percentiles : dict of float to float
        Values by percent, from 99.9 down to 0.1.
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
    """Differences between a model's predictions on a text and those of the base.

    Probabilities and shares are from 0 to 1, where llama.cpp prints percent.

    Attributes
    ----------
    perplexity, base_perplexity : Estimate
        Perplexity of this model, PPL(Q), and of the base, PPL(base).
    correlation : float
        Correlation of the two models' log-likelihoods over the predictions.
    log_ratio, ratio, difference : Estimate
        ln(PPL(Q)/PPL(base)), PPL(Q)/PPL(base) and PPL(Q)-PPL(base). As both models saw
        the same tokens, these have smaller errors than the perplexities.
    kld : Distribution
        Kullback-Leibler divergence of each prediction, in nats.
    p_diff : Distribution
        Δp of each prediction: the probability of the token that follows, minus the
        base's.
    rms_p_diff : Estimate
        Root mean square of Δp.
    same_top : Estimate
        Share of predictions in which both models find the same token likeliest.
    n_chunks : int
        Chunks read.
    n_ctx : int
        Tokens of a chunk.
    n_scored : int
        Predictions compared.
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
    """Return the mean of `values`, (n,), and its standard error."""
    n = len(values)
    error = math.sqrt(values.var() / (n - 1)) if n > 1 else math.nan
    return Estimate(float(values.mean()), error)


def exponential(log: Estimate) -> Estimate:
    """Return the exponential of an estimate; infinite if it overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        value = float(np.exp(log.value))
        return Estimate(value, float(np.multiply(value, log.error)))


def root(square: Estimate) -> Estimate:
    """Return the square root of an estimate."""
    value = math.sqrt(square.value)
    return Estimate(value, 0.5 * square.error / value if value else 0.0)


def share(is_so: NDArray[np.bool_]) -> Estimate:
    """Return the share of True, and its standard error."""
    n, value = len(is_so), float(is_so.mean())
    return Estimate(
        value, math.sqrt(value * (1 - value) / (n - 1)) if n > 1 else math.nan
    )


class Paired(NamedTuple):
    """Mean negative log-likelihoods of two models on the same tokens.

    The two err together, so that their difference is known better than either.
    """

    first: Estimate
    second: Estimate
    covariance: float  # of the two means

    @classmethod
    def of(cls, first: Values, second: Values) -> Paired:
        """Pair two models' values of the same tokens, (n,)."""
        n = len(first)
        together = (first - first.mean()) * (second - second.mean())
        covariance = float(together.mean()) / (n - 1) if n > 1 else math.nan
        return cls(mean(first), mean(second), covariance)

    @property
    def correlation(self) -> float:
        """Correlation, from -1 to 1; NaN if one of the two does not vary."""
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
        """Return the error of a times the first mean minus b times the second."""
        first, second = a * self.first.error, b * self.second.error
        variance = first * first + second * second - 2 * a * b * self.covariance
        # rounding may make this negative if the two are equal
        return math.sqrt(variance) if not variance < 0 else 0.0
