"""Weighted least squares for groups of weights that share a scale.

Groups are the last axes of all arrays, so that a sum over each group adds whole rows:

    x, q, w            : float32, (group_size, …): weights, their codes, and what the
                         error of each weight counts
    scale, low, error  : float32, (…)

A fit minimises `error`, the sum of w * (decoded - x) ** 2 over a group. Given the
scale, rounding finds the best codes; given the codes, linear regression finds the best
scale. Finding both at once has no closed form: several scales are tried, and the best
one is refined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from llamacy.ggml.quantization.packing import Floats

_N_REFITS = 1  # of the best fit found; more change next to nothing
# Codes whose variance is this small, relative to their mean square, are all equal: the
# rest is rounding.
_FLAT = np.float32(1e-5)

Levels = Callable[[Floats, Floats], Floats]
"""Finds the levels that are closest to weights at a scale: (x, scale) to (…) like x."""


class Fit(NamedTuple):
    """The scale and low of weights decoded as scale * q - low, and the error."""

    scale: Floats
    low: Floats
    error: Floats


def total(values: Floats) -> Floats:
    """Sum over each group."""
    summed: Floats = values.sum(axis=0)
    return summed


def ratio(over: Floats | np.float32, under: Floats) -> Floats:
    """Return over / under, or 0 where that is not finite."""
    result = over / under
    return np.where(np.isfinite(result), result, np.float32(0))


def farthest(values: Floats) -> Floats:
    """Return the value farthest from zero of each group."""
    index = np.abs(values).argmax(axis=0)
    found: Floats = np.take_along_axis(values, index[None], axis=0)[0]
    return found


def codes(x: Floats, scale: Floats, low: Floats, ends: tuple[int, int]) -> Floats:
    """Return the integers within `ends` that decode closest to `x`."""
    q = (x + low) * ratio(np.float32(1), scale)
    np.rint(q, out=q)
    return np.clip(q, *ends, out=q)


def fit_scale(x: Floats, w: Floats, ends: tuple[int, int], steps: Floats) -> Fit:
    """Fit scale * q to `x`; the scale may be negative.

    Parameters
    ----------
    x : float32, (group_size, …)
        Weights.
    w : float32, (group_size, …)
        Importance of each weight.
    ends : tuple of int
        Least and greatest code.
    steps : float32, (n,)
        One scale is tried for each step: it maps the weight farthest from zero to
        `ends[0] - step`.

    Returns
    -------
    Fit
        The best fit; `low` is 0.
    """
    zero = np.zeros(1, np.float32)
    return fit_levels(
        x, w, np.float32(ends[0]) - steps, lambda x, scale: codes(x, scale, zero, ends)
    )


def fit_levels(x: Floats, w: Floats, reaches: Floats, levels: Levels) -> Fit:
    """Fit scale * level to `x`; the scale may be negative.

    Parameters
    ----------
    x : float32, (group_size, …)
        Weights.
    w : float32, (group_size, …)
        Importance of each weight.
    reaches : float32, (n,)
        One scale is tried for each: it maps the weight farthest from zero to it.
    levels : callable
        Finds the levels that are closest to weights at a scale.

    Returns
    -------
    Fit
        The best fit; `low` is 0.
    """
    wx = w * x
    power, zero = total(wx * x), np.zeros(x.shape[1:], np.float32)

    def refit(q: Floats) -> Fit:
        product = total(q * wx)
        scale = ratio(product, total(w * q * q))
        return Fit(scale, zero, power - scale * product)

    far = farthest(x)
    best = _best(refit(levels(x, far / reach)) for reach in reaches)
    for _ in range(_N_REFITS):
        best = _better(best, refit(levels(x, best.scale)))
    return best


def fit_scale_and_low(
    x: Floats, w: Floats, n_steps: int, steps: Floats, *, is_free: bool = False
) -> Fit:
    """Fit scale * q - low to `x`, with 0 <= q <= n_steps and low >= 0.

    Parameters
    ----------
    x : float32, (group_size, …)
        Weights.
    w : float32, (group_size, …)
        Importance of each weight.
    n_steps : int
        Greatest code.
    steps : float32, (n,)
        One scale is tried for each step: the range of the weights divided by
        `n_steps + step`.
    is_free : bool
        Low may be negative, too.

    Returns
    -------
    Fit
        The best fit.
    """
    ends = (0, n_steps)
    least = -x.min(axis=0)
    if not is_free:
        least = np.maximum(least, np.float32(0))
    reach = x.max(axis=0) + least
    scales = (reach / np.float32(n_steps + step) for step in steps)
    wx = w * x
    power, summed, size = total(wx * x), total(wx), total(w)

    def refit(q: Floats) -> Fit:
        return _regression(q, w, wx, power, summed, size, is_free=is_free)

    best = _best(refit(codes(x, scale, least, ends)) for scale in scales)
    for _ in range(_N_REFITS):
        best = _better(best, refit(codes(x, best.scale, best.low, ends)))
    return best


def _regression(
    q: Floats,
    w: Floats,
    wx: Floats,
    power: Floats,
    summed: Floats,
    size: Floats,
    *,
    is_free: bool,
) -> Fit:
    """Fit scale * q - low to `x` for given codes.

    The derivatives of the error are zero where

        scale * square - low * count = product
        scale * count  - low * size  = summed

    Parameters
    ----------
    q : float32, (group_size, …)
        Codes.
    w : float32, (group_size, …)
        Importance of each weight.
    wx : float32, (group_size, …)
        w * x.
    power : float32, (…)
        Sum of w * x * x.
    summed : float32, (…)
        Sum of w * x.
    size : float32, (…)
        Sum of w.
    is_free : bool
        Low may be negative.
    """
    wq = w * q
    product, count, square = total(q * wx), total(wq), total(wq * q)
    determinant = size * square - count * count
    scale = ratio(size * product - count * summed, determinant)
    low = ratio(count * product - square * summed, determinant)
    # all codes equal: both equations are the same
    flat = determinant <= _FLAT * size * square
    low = np.where(flat, -ratio(summed, size), low)
    scale = np.where(flat, np.float32(0), scale)
    if not is_free:  # where low is negative, zero is the closest
        scale = np.where(low < 0, ratio(product, square), scale)
        low = np.maximum(low, np.float32(0))
    error = (
        power
        + scale * (scale * square - 2 * product - 2 * low * count)
        + low * (low * size + 2 * summed)
    )
    return Fit(scale, low, error)


def _best(fits: Iterable[Fit]) -> Fit:
    best, *others = fits
    for other in others:
        best = _better(best, other)
    return best


def _better(one: Fit, other: Fit) -> Fit:
    """Return the better of two fits for each group."""
    closer = other.error < one.error
    return Fit(*(np.where(closer, b, a) for a, b in zip(one, other, strict=True)))
