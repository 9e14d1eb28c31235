"""Dequantises the blocks of ggml's IQ1, IQ2 and IQ3 types; `blocks` has most others.

A block of 256 weights has a float16 scale d, small scales s of groups of 16 or 32
weights, and for every 8 or 4 weights the index of a point of the type's codebook. IQ2
and IQ3 store the sign of each weight separately; where 7 bits encode the signs of 8
weights, the number of minus signs is even. IQ1 shifts its points by an eighth, up or
down. Source: the block structures and `dequantize_row_iq*` of ggml.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamacy.ggml.block_fields import (
    Bytes,
    Floats,
    float16,
    scale_groups,
    unpack,
)
from llamacy.ggml.codebooks import codebook

# The values of the codebooks' digits, by prefix of the type's name.
_VALUES = {
    "IQ1_": (-1, 0, 1),
    "IQ2_": (8, 25, 43),
    "IQ3_XXS": (4, 12, 20, 28, 36, 44, 52, 62),
    "IQ3_S": (1, 3, 5, 7, 9, 11, 13, 15),
}
DELTA = np.float32(0.125)
_HALF = np.float32(0.5)

# Eight signs with an even number of ones, by the first seven.
_EVEN_SIGNS = np.array(
    [seven | seven.bit_count() % 2 << 7 for seven in range(128)], dtype=np.uint8
)


@cache
def points_of(type_name: str) -> Floats:
    """Return a type's codebook as floats: (n_points, 8 or 4)."""
    (values,) = (
        values for name, values in _VALUES.items() if type_name.startswith(name)
    )
    return np.array(values, np.float32)[codebook(type_name)]


def _fields(words: NDArray[Any], n_bits: int, count: int) -> NDArray[Any]:
    """Extract the `count` lowest fields of each word: (n_blocks, n_words * count)."""
    shifts = np.arange(0, n_bits * count, n_bits, dtype=words.dtype)
    mask = words.dtype.type((1 << n_bits) - 1)
    fields: NDArray[Any] = (words[:, :, None] >> shifts) & mask
    return fields.reshape(len(words), -1)


def _index(low: Bytes, high: NDArray[Any]) -> NDArray[np.uint16]:
    """Combine the lower 8 bits of indices with the upper bits."""
    return low | (high.astype(np.uint16) << np.uint16(8))


def _signed(type_name: str, index: NDArray[Any], signs: Bytes) -> Floats:
    """Look points up and apply signs.

    Parameters
    ----------
    type_name : str
        Name of the type.
    index : int, (n_blocks, 32 or 64)
        Indices of points.
    signs : uint8, (n_blocks, 32)
        One bit per weight, set if it is negative.

    Returns
    -------
    float32, (n_blocks, 256)
        Signed points.
    """
    magnitudes: Floats = points_of(type_name)[index].reshape(len(index), -1)
    is_negative = np.unpackbits(signs, axis=1, bitorder="little")
    return np.where(is_negative, -magnitudes, magnitudes)


def iq2_xxs(blocks: Bytes) -> Floats:
    """Compute d * (s + 1/2) / 4 * point, with signs, in groups of 32 weights.

    A block is d, 8 x (4 x index of 8 bits, 4 x 7 signs, s of 4 bits).
    """
    groups = blocks[:, 2:].reshape(len(blocks), 8, 8)
    words = groups[:, :, 4:].reshape(len(blocks), -1).view("<u4")
    index = groups[:, :, :4].reshape(len(blocks), -1)
    signs = _EVEN_SIGNS[_fields(words, 7, 4)]
    scales = float16(blocks, 0) * (_HALF + (words >> 28).astype(np.float32))
    points = _signed("IQ2_XXS", index, signs)
    return scale_groups(scales * np.float32(0.25), points)


def iq2_xs(blocks: Bytes) -> Floats:
    """Compute d * (s + 1/2) / 4 * point, with signs, in groups of 16 weights.

    A block is d, 32 x (index of 9 bits, 7 signs), 16 x s of 4 bits.
    """
    words = blocks[:, 2:66].view("<u2")
    signs = _EVEN_SIGNS[words >> np.uint16(9)]
    points = _signed("IQ2_XS", words & np.uint16(511), signs)
    scales = float16(blocks, 0) * (_HALF + unpack(blocks[:, 66:], 4, 1))
    return scale_groups(scales * np.float32(0.25), points)


def iq2_s(blocks: Bytes) -> Floats:
    """Compute d * (s + 1/2) / 4 * point, with signs, in groups of 16 weights.

    A block is d, 32 x 8 bits of an index, 32 x 8 signs, 32 x its 2 upper bits, 16 x s
    of 4 bits.
    """
    index = _index(blocks[:, 2:34], unpack(blocks[:, 66:74], 2, 1))
    points = _signed("IQ2_S", index, blocks[:, 34:66])
    scales = float16(blocks, 0) * (_HALF + unpack(blocks[:, 74:], 4, 1))
    return scale_groups(scales * np.float32(0.25), points)


def iq3_xxs(blocks: Bytes) -> Floats:
    """Compute d * (s + 1/2) / 2 * point, with signs, in groups of 32 weights.

    A block is d, 64 x index of 8 bits, 8 x (4 x 7 signs, s of 4 bits).
    """
    words = blocks[:, 66:].view("<u4")
    signs = _EVEN_SIGNS[_fields(words, 7, 4)]
    points = _signed("IQ3_XXS", blocks[:, 2:66], signs)
    scales = float16(blocks, 0) * (_HALF + (words >> 28).astype(np.float32))
    return scale_groups(scales * np.float32(0.5), points)


def iq3_s(blocks: Bytes) -> Floats:
    """Compute d * (2 * s + 1) * point, with signs, in groups of 32 weights.

    A block is d, 64 x 8 bits of an index, 64 x its ninth bit, 32 x 8 signs, 8 x s of 4
    bits.
    """
    index = _index(blocks[:, 2:66], unpack(blocks[:, 66:74], 1, 1))
    points = _signed("IQ3_S", index, blocks[:, 74:106])
    odd = 2 * unpack(blocks[:, 106:], 4, 1) + np.uint8(1)
    return scale_groups(float16(blocks, 0) * odd.astype(np.float32), points)


def iq1_s(blocks: Bytes) -> Floats:
    """Compute d * (2 * s + 1) * (point + delta) in groups of 32 weights.

    A block is d, 32 x 8 bits of an index, 8 x (4 x its 3 upper bits, s of 3 bits, the
    sign of delta).
    """
    words = blocks[:, 34:].view("<u2")
    index = _index(blocks[:, 2:34], _fields(words, 3, 4))
    points = points_of("IQ1_S")[index].reshape(len(blocks), 8, 32)
    delta = np.where(words >> np.uint16(15), -DELTA, DELTA)
    odd = 2 * (words >> np.uint16(12) & np.uint16(7)) + np.uint16(1)
    scales = float16(blocks, 0) * odd.astype(np.float32)
    return scale_groups(scales, points + delta[:, :, None])


def iq1_m(blocks: Bytes) -> Floats:
    """Compute d * (2 * s + 1) * (point + delta); s is per 16 weights, delta per 8.

    A block is 32 x 8 bits of an index, 32 x (its 3 upper bits, the sign of delta), 4 x
    (4 x s of 3 bits, 4 bits of d).
    """
    nibbles = unpack(blocks[:, 32:48], 4, 1)
    words = blocks[:, 48:].view("<u2")
    index = _index(blocks[:, :32], nibbles & np.uint8(7))
    delta = np.where(nibbles >> np.uint8(3), -DELTA, DELTA)
    points = points_of("IQ1_M")[index] + delta[:, :, None]
    quarters = words >> np.uint16(12) << np.arange(0, 16, 4, dtype=np.uint16)
    d = np.bitwise_or.reduce(quarters, axis=1, keepdims=True).view(np.float16)
    odd = 2 * _fields(words, 3, 4) + np.uint16(1)
    return scale_groups(d.astype(np.float32) * odd.astype(np.float32), points)
