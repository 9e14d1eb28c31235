"""Quantises to the blocks of 32 weights of ggml's older types.

The scale follows from the largest magnitude, or from the least and greatest weight,
without a search. The results are bit-identical to ggml's: weights are divided by the
scale before the scale is rounded to float16, and halves are rounded up (in Q8_0, away
from zero). Each function takes float32, (n_blocks, 32), and returns uint8, (n_blocks,
type_size).
"""

from __future__ import annotations

import numpy as np

from llamacy.ggml.quantization.packing import (
    Bytes,
    Floats,
    float16_bytes,
    inverse,
    pack,
    round_half_away,
)


def q8_0(blocks: Floats) -> Bytes:
    """Divide by d, the largest magnitude / 127."""
    d = np.abs(blocks).max(axis=1) / np.float32(127)
    codes = round_half_away(blocks * inverse(d)[:, None])
    return np.hstack([float16_bytes(d), codes.astype(np.int8).view(np.uint8)])


def q4_0(blocks: Floats) -> Bytes:
    """Divide by d, which maps the weight farthest from zero to -8."""
    d, codes = _from_farthest(blocks, 8)
    return np.hstack([float16_bytes(d), pack(codes, 4, 16)])


def q5_0(blocks: Floats) -> Bytes:
    """Divide by d, which maps the weight farthest from zero to -16."""
    d, codes = _from_farthest(blocks, 16)
    return np.hstack([float16_bytes(d), five_bits(codes)])


def q4_1(blocks: Floats) -> Bytes:
    """Divide the distance from the least weight by d, the largest distance / 15."""
    d, low, codes = _between_ends(blocks, 15)
    return np.hstack([float16_bytes(d), float16_bytes(low), pack(codes, 4, 16)])


def q5_1(blocks: Floats) -> Bytes:
    """Divide the distance from the least weight by d, the largest distance / 31."""
    d, low, codes = _between_ends(blocks, 31)
    return np.hstack([float16_bytes(d), float16_bytes(low), five_bits(codes)])


def _from_farthest(blocks: Floats, half: int) -> tuple[Floats, Bytes]:
    """Return d, (n_blocks,), and codes 0 to 2 * half - 1, where `half` means zero."""
    farthest = np.abs(blocks).argmax(axis=1)
    d = blocks[np.arange(len(blocks)), farthest] / np.float32(-half)
    codes = np.trunc(blocks * inverse(d)[:, None] + np.float32(half + 0.5))
    return d, np.minimum(codes, np.float32(2 * half - 1)).astype(np.uint8)


def _between_ends(blocks: Floats, n_steps: int) -> tuple[Floats, Floats, Bytes]:
    """Return d and the least weight, both (n_blocks,), and codes 0 to `n_steps`."""
    low = blocks.min(axis=1)
    d = (blocks.max(axis=1) - low) / np.float32(n_steps)
    scaled = (blocks - low[:, None]) * inverse(d)[:, None]
    codes = np.trunc(scaled + np.float32(0.5))
    return d, low, np.minimum(codes, np.float32(n_steps)).astype(np.uint8)


def five_bits(codes: Bytes) -> Bytes:
    """Split 32 codes of 5 bits: the fifth bits in 4 bytes, the others in 16."""
    return np.hstack(
        [pack(codes >> np.uint8(4), 1, 1), pack(codes & np.uint8(15), 4, 16)]
    )
