"""Quantises to the blocks of ggml's IQ1, IQ2 and IQ3 types.

Each function takes float32, (n_blocks, 256), and, if known, the importance of each
weight, of the same shape; it returns uint8, (n_blocks, type_size). `codebook_search`
finds scales and points; this module arranges them in blocks, the inverse of
`llamacy.ggml.codebook_blocks`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamacy.ggml.codebook_blocks import DELTA, points_of
from llamacy.ggml.quantization.codebook_search import (
    Codebook,
    HalvedCodebook,
    Indices,
)
from llamacy.ggml.quantization.packing import Bytes, Floats, float16_bytes, pack
from llamacy.ggml.quantization.scales import squares, weighted

# Fractions of the greatest coordinate that the farthest weight of a group is mapped to:
# beyond 1 it is clipped. More steps lower the error by less than a third of a percent.
_STEPS = np.linspace(0.8, 1.4, 7, dtype=np.float32)
_TERNARY_GAIN = np.float32(1.08)
_TERNARY_STEPS = np.linspace(1.1, 2.6, 5, dtype=np.float32)


def iq2_xxs(blocks: Floats, importance: Floats | None = None) -> Bytes:
    """Find d * (s + 1/2) / 4 * point, with signs, in groups of 32 weights."""
    d, s, index, signs = _signed("IQ2_XXS", blocks, importance)
    words = _seven_bits(signs, 4) | _whole(s, np.uint32) << np.uint32(28)
    numbers = _whole(index, np.uint8).reshape(len(d), 8, 4)
    groups = np.concatenate([numbers, _bytes(words, 8)], axis=2)
    return np.hstack([float16_bytes(d), groups.reshape(len(d), -1)])


def iq2_xs(blocks: Floats, importance: Floats | None = None) -> Bytes:
    """Find d * (s + 1/2) / 4 * point, with signs, in groups of 16 weights."""
    d, s, index, signs = _signed("IQ2_XS", blocks, importance)
    seven = (signs & np.uint8(127)).astype(np.uint16)
    words = index.reshape(len(d), -1) | seven << np.uint16(9)
    return np.hstack([float16_bytes(d), _little(words), _nibbles(s)])


def iq2_s(blocks: Floats, importance: Floats | None = None) -> Bytes:
    """Find d * (s + 1/2) / 4 * point, with signs, in groups of 16 weights."""
    d, s, index, signs = _signed("IQ2_S", blocks, importance)
    low, high = _parts(index)
    return np.hstack([float16_bytes(d), low, signs, pack(high, 2, 1), _nibbles(s)])


def iq3_xxs(blocks: Floats, importance: Floats | None = None) -> Bytes:
    """Find d * (s + 1/2) / 2 * point, with signs, in groups of 32 weights."""
    d, s, index, signs = _signed("IQ3_XXS", blocks, importance)
    words = _seven_bits(signs, 4) | _whole(s, np.uint32) << np.uint32(28)
    return np.hstack([float16_bytes(d), _parts(index)[0], _little(words)])


def iq3_s(blocks: Floats, importance: Floats | None = None) -> Bytes:
    """Find d * (2 * s + 1) * point, with signs, in groups of 32 weights."""
    d, s, index, signs = _signed("IQ3_S", blocks, importance)
    low, ninth = _parts(index)
    return np.hstack([float16_bytes(d), low, pack(ninth, 1, 1), signs, _nibbles(s)])


def iq1_s(blocks: Floats, importance: Floats | None = None) -> Bytes:
    """Find d * (2 * s + 1) * (point + delta) in groups of 32 weights."""
    book = _codebook("IQ1_S")
    x, w = _grouped(blocks, importance, book.group_size)
    halved = HalvedCodebook.chosen(book, x, w)
    d, s, index = halved.search(x, w)
    low, high = _parts(index & np.uint16(2047))
    shifts = np.arange(0, 12, 3, dtype=np.uint16)
    upper = high.reshape(len(d), 8, 4).astype(np.uint16) << shifts
    words = np.bitwise_or.reduce(upper, axis=2) | _whole(s, np.uint16) << np.uint16(12)
    words |= halved.is_second.astype(np.uint16) << np.uint16(15)
    return np.hstack([float16_bytes(d), low, _little(words)])


def iq1_m(blocks: Floats, importance: Floats | None = None) -> Bytes:
    """Find d * (2 * s + 1) * (point + delta); s is per 16 weights, delta per 8."""
    book = _codebook("IQ1_M")
    d, s, index = book.search(*_grouped(blocks, importance, book.group_size))
    low, high = _parts(index)  # the bit above those of the index is the sign of delta
    d_bits = float16_bytes(d).view("<u2")
    parts = _whole(s, np.uint16).reshape(len(d), 4, 4)
    parts <<= np.arange(0, 12, 3, dtype=np.uint16)
    quarters = d_bits >> np.arange(0, 16, 4, dtype=np.uint16) & np.uint16(15)
    words = np.bitwise_or.reduce(parts, axis=2) | quarters << np.uint16(12)
    return np.hstack([low, pack(high, 4, 1), _little(words)])


@cache
def _codebook(type_name: str) -> Codebook:
    points = points_of(type_name)
    if type_name.startswith("IQ1"):
        size, s_end, steps = 32 if type_name == "IQ1_S" else 16, 7, _TERNARY_STEPS
        both = np.vstack([points + DELTA, points - DELTA])
        return Codebook(both, size, s_end, steps, _TERNARY_GAIN)
    factor = {"IQ2": 8, "IQ3_XXS": 4, "IQ3_S": 1}
    unit = next(each for name, each in factor.items() if type_name.startswith(name))
    size = 16 if type_name in ("IQ2_XS", "IQ2_S") else 32
    return Codebook(points / np.float32(unit), size, 15, _STEPS)


def _signed(
    type_name: str, blocks: Floats, importance: Floats | None
) -> tuple[Floats, Floats, Indices, Bytes]:
    """Find d, s, points of magnitudes, and the signs: uint8, (n_blocks, 32), bits."""
    book = _codebook(type_name)
    x, w = _grouped(blocks, importance, book.group_size)
    is_negative = x < 0
    if type_name in ("IQ2_XXS", "IQ2_XS", "IQ3_XXS"):
        is_negative ^= _odd_ones_out(x, w, is_negative)
    d, s, index = book.search(np.where(is_negative, -x, x), w)
    signs = is_negative.reshape(len(x), -1)
    return d, s, index, np.packbits(signs, axis=1, bitorder="little")


def _odd_ones_out(
    x: Floats, w: Floats, is_negative: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Choose the signs to change so that of 8 weights an even number is negative.

    It is that of the weight whose square counts least.
    """
    eights = (w * x * x).reshape(len(x), -1, 8)
    is_odd = is_negative.reshape(eights.shape).sum(axis=2) % 2 == 1
    is_least = np.arange(8) == eights.argmin(axis=2)[..., None]
    changed: NDArray[np.bool_] = (is_least & is_odd[..., None]).reshape(x.shape)
    return changed


def _grouped(
    blocks: Floats, importance: Floats | None, size: int
) -> tuple[Floats, Floats]:
    """Return weights and what errors count: (n_blocks, n_groups, group_size)."""
    if importance is None:  # then a weight counts as in `scales.around_zero`
        w = squares(blocks.T).T
    else:
        w = weighted(blocks.T, importance.T).T
    shape = len(blocks), -1, size
    return blocks.reshape(shape), w.reshape(shape)


def _parts(index: Indices) -> tuple[Bytes, Bytes]:
    """Split numbers of points into their lower 8 bits and those above."""
    flat = index.reshape(len(index), -1)
    return flat.astype(np.uint8), (flat >> np.uint16(8)).astype(np.uint8)


def _seven_bits(signs: Bytes, n: int) -> NDArray[np.uint32]:
    """Join the signs of n times 8 weights, 7 bits each: (n_blocks, 32 / n)."""
    fields = (signs & np.uint8(127)).astype(np.uint32).reshape(len(signs), -1, n)
    shifts = np.arange(0, 7 * n, 7, dtype=np.uint32)
    joined: NDArray[np.uint32] = np.bitwise_or.reduce(fields << shifts, axis=2)
    return joined


def _nibbles(s: Floats) -> Bytes:
    return pack(_whole(s, np.uint8), 4, 1)


def _whole(values: NDArray[Any], dtype: type) -> NDArray[Any]:
    return values.astype(dtype)


def _little(words: NDArray[Any]) -> Bytes:
    """Return words as bytes, the lowest first: (n_blocks, n_bytes)."""
    ordered = np.ascontiguousarray(words.astype(words.dtype.newbyteorder("<")))
    return ordered.view(np.uint8).reshape(len(words), -1)


def _bytes(words: NDArray[Any], n: int) -> Bytes:
    return _little(words).reshape(len(words), n, -1)
