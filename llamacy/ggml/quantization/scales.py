"""The scales, minima and codes of the K types' blocks.

Each group of weights is fitted on its own first. Then its scale (and minimum) become
whole multiples of a float16 that the block's groups share: by rounding, then by
trying the neighbours, and refitting the float16 to what was chosen.

What is made small is the sum of w * (decoded - x) ** 2. Ideally w were the mean square
of the activation that a weight is multiplied with. That is not known here, but training
makes weights large where it matters: large ones count more, by their squares where
codes are around zero, by their magnitudes where there are minima, and something is
added so that small ones are not neglected. The plain sum of squares gives models whose
predictions are farther from the original's.

Arrays have the weights of a group first and blocks last, and short names:

    x, q, w : float32, (group_size, n_groups, n_blocks): weights, their codes, and how
              much each of them counts
    s, m    : float32, (n_groups, n_blocks): whole numbers, for scales and minima
    d, dmin : float32, (n_blocks,): what those are multiples of; a float16 holds it
"""

from __future__ import annotations

import numpy as np

from llamacy.ggml.quantization.fitting import (
    codes,
    farthest,
    fit_scale,
    fit_scale_and_low,
    ratio,
    total,
)
from llamacy.ggml.quantization.packing import Floats

# Tried at first: mostly scales that clip the farthest weights. More steps, or more
# rounds of neighbours and refitting, lower the error by less than half a percent.
_STEPS = np.linspace(-1.5, 1, 11, dtype=np.float32)
_N_ROUNDS = 2
# Of a block's mean square, which every weight in it counts. Chosen of 0, 0.25, 0.5 and
# 1 by the Kullback-Leibler divergence of small trained models in Q3_K and Q6_K files,
# which it changes by a few percent.
_SHARE = np.float32(0.25)
_ZERO = np.zeros(1, np.float32)


def around_zero(
    x: Floats, ends: tuple[int, int], s_ends: tuple[int, int]
) -> tuple[Floats, Floats, Floats]:
    """Find d, s and q such that d * s * q is near `x`.

    Parameters
    ----------
    ends, s_ends : least and greatest q and s.
    """
    w = _squares(x)
    scale = fit_scale(x, w, ends, _STEPS).scale
    d = _unit(farthest(scale), s_ends[0])
    s = _whole(scale, d, s_ends)
    for _ in range(_N_ROUNDS):
        s = _nearest_scales(x, w, d, s, ends, s_ends)
        q = codes(x, d * s, _ZERO, ends)
        wq = w * q
        product, square = total(s * total(wq * x)), total(s * s * total(wq * q))
        refitted = _float16(ratio(product, square))
        d = np.where(refitted == 0, d, refitted)
    return d, s, codes(x, d * s, _ZERO, ends)


def with_minima(
    x: Floats, n_steps: int, s_end: int
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Find d, dmin, s, m and q such that d * s * q - dmin * m is near `x`.

    Parameters
    ----------
    n_steps, s_end : greatest q, and greatest s and m; the least are 0.
    """
    w = np.abs(x) + np.sqrt(total(x * x) / np.float32(len(x)))
    fit = fit_scale_and_low(x, w, n_steps, _STEPS)
    ends, s_ends = (0, n_steps), (0, s_end)
    d, dmin = _unit(fit.scale.max(axis=0), s_end), _unit(fit.low.max(axis=0), s_end)
    s, m = _whole(fit.scale, d, s_ends), _whole(fit.low, dmin, s_ends)
    for _ in range(_N_ROUNDS):
        s, m = _nearest_pairs(x, w, d, dmin, s, m, ends, s_ends)
        q = codes(x, d * s, dmin * m, ends)
        d, dmin = _refit_units(x, w, q, s, m, d, dmin)
    return d, dmin, s, m, codes(x, d * s, dmin * m, ends)


def _squares(x: Floats) -> Floats:
    """Square each weight, and add a share of the mean over its block."""
    square = x * x
    # in float64: which order NumPy adds in depends on how many blocks there are
    mean = square.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)
    squares: Floats = square + _SHARE * mean
    return squares


def _float16(values: Floats) -> Floats:
    """Round to what a float16 holds."""
    return values.astype(np.float16).astype(np.float32)


def _unit(far: Floats, end: int) -> Floats:
    """Find the least float16 of which `end` times as much reaches `far`.

    Not the nearest one: among float16's smallest numbers that may be zero, or fall
    short by much.
    """
    unit = far / np.float32(end)
    nearest = unit.astype(np.float16)
    short = np.abs(nearest.astype(np.float32)) < np.abs(unit)
    away = np.nextafter(nearest, np.copysign(np.inf, unit).astype(np.float16))
    return np.where(short, away, nearest).astype(np.float32)


def _whole(values: Floats, unit: Floats, ends: tuple[int, int]) -> Floats:
    """`values` as multiples of `unit`, within `ends`."""
    return np.clip(np.rint(ratio(values, unit)), *ends)


def _error(
    x: Floats, w: Floats, scale: Floats, low: Floats, ends: tuple[int, int]
) -> Floats:
    """Sum over each group of w times the squares by which the codes miss `x`."""
    off = scale * codes(x, scale, low, ends) - low - x
    return total(w * off * off)


def _nearest_scales(
    x: Floats,
    w: Floats,
    d: Floats,
    s: Floats,
    ends: tuple[int, int],
    s_ends: tuple[int, int],
) -> Floats:
    """Of each s and its two neighbours take the best."""
    best, least = s, np.full_like(s, np.inf)
    for step in (0, -1, 1):
        tried = np.clip(s + np.float32(step), *s_ends)
        error = _error(x, w, d * tried, _ZERO, ends)
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
    """Of each s and m and their neighbours take the best of all nine pairs."""
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
    """Find the d and dmin that suit s, m and q best, where two equations have them."""
    wq, wx = w * q, w * x
    ss = total(s * s * total(wq * q))
    sm = total(s * m * total(wq))
    mm = total(m * m * total(w))
    sx, mx = total(s * total(q * wx)), total(m * total(wx))
    determinant = ss * mm - sm * sm
    new_d = _float16(ratio(mm * sx - sm * mx, determinant))
    new_dmin = _float16(ratio(sm * sx - ss * mx, determinant))
    sound = (new_d > 0) & (new_dmin > 0)
    return np.where(sound, new_d, d), np.where(sound, new_dmin, dmin)
