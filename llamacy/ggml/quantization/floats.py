"""Rounds to float32, float16 and bfloat16, whose blocks are single weights.

Each takes float32, (n_blocks, 1), and returns uint8, (n_blocks, type_size).
"""

from __future__ import annotations

import numpy as np

from llamacy.ggml.quantization.packing import Bytes, Floats, float16_bytes


def f32(blocks: Floats) -> Bytes:
    """Return float32 unchanged."""
    return blocks.astype("<f4", copy=False).view(np.uint8)


def f16(blocks: Floats) -> Bytes:
    """Round to float16, halves to even."""
    return float16_bytes(blocks.ravel())


def bf16(blocks: Floats) -> Bytes:
    """Round to bfloat16, the upper half of a float32, halves to even.

    Raises
    ------
    OverflowError
        A weight would be rounded to infinity.
    """
    bits = blocks.view(np.uint32)
    # Add just under a half; where the last remaining bit is 1, exactly a half.
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    rounded = (bits + (np.uint32(0x7FFF) + odd)) >> np.uint32(16)
    if (rounded & np.uint32(0x7FFF)).max(initial=0) >= 0x7F80:
        raise OverflowError
    return rounded.astype("<u2").view(np.uint8)
