"""Quantises to the blocks of 64 and 128 weights of ggml's Q1_0, Q2_0 and NVFP4.

Scales follow from the weights without a search, and the results are bit-identical to
ggml's. Q1_0 and Q2_0 are for models trained to have such weights: others lose most of
their sense. Each function takes float32, (n_blocks, block_size), and returns uint8,
(n_blocks, type_size).
"""

from __future__ import annotations

import numpy as np

from llamacy.ggml.blocks import E4M3_HALVES, FP4_VALUES
from llamacy.ggml.quantization.packing import (
    Bytes,
    Floats,
    float16_bytes,
    inverse,
    pack,
    round_half_away,
)

_LARGEST_E4M3 = 0x7E  # 448: the next byte would be NaN
_FAR_E4M3 = 0x78  # 256, from which ggml rounds up to the largest


def q1_0(blocks: Floats) -> Bytes:
    """Keep the signs; d is the mean magnitude, added up in order as in ggml."""
    total = np.cumsum(np.abs(blocks), axis=1, dtype=np.float32)[:, -1]
    d = total / np.float32(blocks.shape[1])
    return np.hstack([float16_bytes(d), pack((blocks >= 0).astype(np.uint8), 1, 1)])


def q2_0(blocks: Floats) -> Bytes:
    """Divide by d, the largest magnitude, and round to -1, 0 or 1."""
    d = np.abs(blocks).max(axis=1)
    codes = round_half_away(blocks * inverse(d)[:, None]) + np.float32(1)
    return np.hstack([float16_bytes(d), pack(codes.astype(np.uint8), 2, 1)])


def nvfp4(blocks: Floats) -> Bytes:
    """Divide groups of 16 by a scale of UE4M3, the largest magnitude / 6.

    Raises
    ------
    OverflowError
        A weight is beyond the range, which a scale of the whole tensor would mend.
    """
    groups = blocks.reshape(-1, 16)
    far = np.abs(groups).max(axis=1) / np.float32(6)
    if (far > 2 * E4M3_HALVES[_LARGEST_E4M3]).any():
        raise OverflowError
    scales = _to_e4m3(far)
    codes = _nearest_fp4(groups, E4M3_HALVES[scales][:, None])
    packed = pack(codes.reshape(blocks.shape), 4, 8)
    return np.hstack([scales.reshape(len(blocks), -1), packed])


def _to_e4m3(values: Floats) -> Bytes:
    """Round numbers from 0 to 448 to UE4M3 as ggml does, halves up."""
    exponent = np.frexp(values)[1]
    # four bits from the first one on; below 2 ** -6, steps stay at 2 ** -9
    step = np.where(values > 0, np.maximum(exponent, -5), -5) - 4
    whole = np.trunc(np.ldexp(values, -step) + np.float32(0.5)).astype(np.int64)
    # subnormal numbers stay so; a carry into the exponent comes by itself
    whole = np.where(exponent < -5, np.minimum(whole, 7), whole)
    codes = whole + (step + 9) * 8
    return np.where(codes < _FAR_E4M3, codes, _LARGEST_E4M3).astype(np.uint8)


def _nearest_fp4(groups: Floats, scale: Floats) -> Bytes:
    """Choose the nearest of the 16 values times `scale`, of two the first."""
    best = np.zeros(groups.shape, np.uint8)
    least = np.abs(groups)
    for code in range(1, len(FP4_VALUES)):
        error = np.abs(FP4_VALUES[code] * scale - groups)
        is_nearer = error < least
        best[is_nearer] = code
        least = np.where(is_nearer, error, least)
    return best
