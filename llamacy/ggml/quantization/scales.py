"""Finds the scales, minima and codes of the K types' blocks.

First, each group of weights is fitted on its own. Then its scale (and minimum) becomes
an integer multiple of a float16 unit that the groups of a block share: it is rounded,
its neighbours are tried, and the unit is refitted to the multiples chosen.

The search minimises the sum of w * (decoded - x) ** 2. Ideally, w would be the mean
square of the activation that a weight is multiplied by, its importance. Where that is
unknown, w grows with the weight, because training makes weights large where they
matter: with its square for codes around zero, with its magnitude for types with minima,
plus a constant so that small weights are not neglected. With w = 1, the predictions of
the quantised models are farther from the original's. Where it is known, w is the
importance times a magnitude, as `weighted` has it, for the same reason.

The axes of arrays are those of a group's weights, groups and blocks:

    x, q, w : float32, (group_size, n_groups, n_blocks): weights, their codes, and what
              the error of each weight counts
    s, m    : float32, (n_groups, n_blocks): integers, the groups' scales and minima as
              multiples of d and dmin
    d, dmin : float32, (n_blocks,): the units, representable as float16
"""

from __future__ import annotations

import numpy as np

from llamacy.ggml.quantization.fitting import (
    Levels,
    codes,
    farthest,
    fit_scale,
    fit_scale_and_low,
    ratio,
    total,
)
from llamacy.ggml.quantization.packing import Floats

# The scales tried first, most of which clip the farthest weights. More steps, or more
# rounds of neighbours and refitting, lower the error by less than half a percent.
_STEPS = np.linspace(-1.5, 1, 11, dtype=np.float32)
_N_ROUNDS = 2
# The share of a block's mean square that is added to w. Chosen from 0, 0.25, 0.5 and 1
# by the Kullback-Leibler divergence of small trained models in Q3_K and Q6_K files,
# which it changes by a few percent.
_SHARE = np.float32(0.25)
_ZERO = np.zeros(1, np.float32)


def around_zero(
    x: Floats,
    ends: tuple[int, int],
    s_ends: tuple[int, int],
    importance: Floats | None = None,
) -> tuple[Floats, Floats, Floats]:
    """Find d, s and q such that d * s * q is close to `x`.

    Parameters
    ----------
    x : float32, (group_size, n_groups, n_blocks)
        Weights.
    ends : tuple of int
        Least and greatest q.
    s_ends : tuple of int
        Least and greatest s.
    importance : float32, like `x`, optional
        Mean squares of the inputs.

    Returns
    -------
    d : float32, (n_blocks,)
        Units of the scales.
    s : float32, (n_groups, n_blocks)
        Scales in units of d.
    q : float32, (group_size, n_groups, n_blocks)
        Codes.
    """
    w = squares(x) if importance is None else weighted(x, importance)
    scale = fit_scale(x, w, ends, _STEPS).scale

    def levels(x: Floats, scale: Floats) -> Floats:
        return codes(x, scale, _ZERO, ends)

    d, s = around_levels(x, w, scale, s_ends, levels)
    return d, s, levels(x, d * s)


def around_levels(
    x: Floats, w: Floats, scale: Floats, s_ends: tuple[int, int], levels: Levels
) -> tuple[Floats, Floats]:
    """Find d and s such that d * s * level is close to `x`.

    Parameters
    ----------
    x, w : float32, (group_size, n_groups, n_blocks)
        Weights, and what the error of each counts.
    scale : float32, (n_groups, n_blocks)
        The best scale of each group by itself.
    s_ends : tuple of int
        Least and greatest s.
    levels : callable
        Finds the levels that are closest to weights at a scale.

    Returns
    -------
    d : float32, (n_blocks,)
        Units of the scales.
    s : float32, (n_groups, n_blocks)
        Scales in units of d.
    """
    d = float16_unit(farthest(scale), s_ends[0])
    s = _whole(scale, d, s_ends)
    for _ in range(_N_ROUNDS):
        s = _nearest_scales(x, w, d, s, s_ends, levels)
        q = levels(x, d * s)
        wq = w * q
        product, square = total(s * total(wq * x)), total(s * s * total(wq * q))
        refitted = rounded_to_float16(ratio(product, square))
        d = np.where(refitted == 0, d, refitted)
    return d, s


def with_minima(
    x: Floats, n_steps: int, s_end: int, importance: Floats | None = None
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Find d, dmin, s, m and q such that d * s * q - dmin * m is close to `x`.

    Parameters
    ----------
    x : float32, (group_size, n_groups, n_blocks)
        Weights.
    n_steps : int
        Greatest q; the least is 0.
    s_end : int
        Greatest s and m; the least is 0.
    importance : float32, like `x`, optional
        Mean squares of the inputs.

    Returns
    -------
    d, dmin : float32, (n_blocks,)
        Units of the scales and minima.
    s, m : float32, (n_groups, n_blocks)
        Scales and minima in those units.
    q : float32, (group_size, n_groups, n_blocks)
        Codes.
    """
    if importance is None:
        w = np.abs(x) + np.sqrt(total(x * x) / np.float32(len(x)))
    else:
        w = weighted(x, importance)
    fit = fit_scale_and_low(x, w, n_steps, _STEPS)
    ends, s_ends = (0, n_steps), (0, s_end)
    d, dmin = (
        float16_unit(fit.scale.max(axis=0), s_end),
        float16_unit(fit.low.max(axis=0), s_end),
    )
    s, m = _whole(fit.scale, d, s_ends), _whole(fit.low, dmin, s_ends)
    for _ in range(_N_ROUNDS):
        s, m = _nearest_pairs(x, w, d, dmin, s, m, ends, s_ends)
        q = codes(x, d * s, dmin * m, ends)
        d, dmin = _refit_units(x, w, q, s, m, d, dmin)
    return d, dmin, s, m, codes(x, d * s, dmin * m, ends)


def weighted(x: Floats, importance: Floats) -> Floats:
    """Return what errors count: the importance times a magnitude.

    The magnitude is that of the weight, but no less than its block's.

    Parameters
    ----------
    x : float32, (…, n_blocks)
        Weights.
    importance : float32, like `x`
        Mean squares of the inputs.
    """
    square = x * x
    w: Floats = importance * np.sqrt(square + _mean(square))
    return w


def squares(x: Floats) -> Floats:
    """Return each weight's square plus a share of the mean square of its block."""
    square = x * x
    found: Floats = square + _SHARE * _mean(square)
    return found


def _mean(square: Floats) -> Floats:
    """Return the mean of each block: (n_blocks,)."""
    # in float64: NumPy's order of addition depends on the number of blocks
    axes = tuple(range(square.ndim - 1))
    mean: Floats = square.mean(axis=axes, dtype=np.float64).astype(np.float32)
    return mean


def rounded_to_float16(values: Floats) -> Floats:
    """Round to float16, and widen again."""
    return values.astype(np.float16).astype(np.float32)


def float16_unit(far: Floats, end: int) -> Floats:
    """Return the least float16 such that `end` times it reaches `far`.

    The nearest float16 would not do: among subnormal numbers it can be zero, or far too
    small.
    """
    unit = far / np.float32(end)
    nearest = unit.astype(np.float16)
    short = np.abs(nearest.astype(np.float32)) < np.abs(unit)
    away = np.nextafter(nearest, np.copysign(np.inf, unit).astype(np.float16))
    return np.where(short, away, nearest).astype(np.float32)


def _whole(values: Floats, unit: Floats, ends: tuple[int, int]) -> Floats:
    """Round `values` to integer multiples of `unit`, within `ends`."""
    return np.clip(np.rint(ratio(values, unit)), *ends)


def _error(
    x: Floats, w: Floats, scale: Floats, low: Floats, ends: tuple[int, int]
) -> Floats:
    """Return the sum of w * (decoded - x) ** 2 over each group."""
    off = scale * codes(x, scale, low, ends) - low - x
    return total(w * off * off)


def _nearest_scales(
    x: Floats,
    w: Floats,
    d: Floats,
    s: Floats,
    s_ends: tuple[int, int],
    levels: Levels,
) -> Floats:
    """Choose the best among each s and its two neighbours."""
    best, least = s, np.full_like(s, np.inf)
    for step in (0, -1, 1):
        tried = np.clip(s + np.float32(step), *s_ends)
        scale = d * tried
        off = scale * levels(x, scale) - x
        error = total(w * off * off)
        best = np.where(error < least, tried, best)
        least = np.minimum(error, least)
    return best


def _nearest_pairs(
    x: Floats,
    w: Floats,
    d: Floats,
    dmin: Floats,
    s: Floats,
    m: Floats,
    ends: tuple[int, int],
    s_ends: tuple[int, int],
) -> tuple[Floats, Floats]:
    """Choose the best of the nine pairs of s, m and their neighbours."""
    best_s, best_m, least = s, m, np.full_like(s, np.inf)
    for s_step in (0, -1, 1):
        for m_step in (0, -1, 1):
            tried_s = np.clip(s + np.float32(s_step), *s_ends)
            tried_m = np.clip(m + np.float32(m_step), *s_ends)
            error = _error(x, w, d * tried_s, dmin * tried_m, ends)
            closer = error < least
            best_s = np.where(closer, tried_s, best_s)
            best_m = np.where(closer, tried_m, best_m)
            least = np.minimum(error, least)
    return best_s, best_m


def _refit_units(
    x: Floats, w: Floats, q: Floats, s: Floats, m: Floats, d: Floats, dmin: Floats
) -> tuple[Floats, Floats]:
    """Return the d and dmin that fit s, m and q best, or the old where not positive."""
    wq, wx = w * q, w * x
    ss = total(s * s * total(wq * q))
    sm = total(s * m * total(wq))
    mm = total(m * m * total(w))
    sx, mx = total(s * total(q * wx)), total(m * total(wx))
    determinant = ss * mm - sm * sm
    new_d = rounded_to_float16(ratio(mm * sx - sm * mx, determinant))
    new_dmin = rounded_to_float16(ratio(sm * sx - ss * mx, determinant))
    sound = (new_d > 0) & (new_dmin > 0)
    return np.where(sound, new_d, d), np.where(sound, new_dmin, dmin)
