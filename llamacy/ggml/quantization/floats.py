"""Float32 weights as float32, float16 and bfloat16: blocks of one weight.

Each takes float32, (n_blocks, 1), and returns uint8, (n_blocks, type_size).
"""

from __future__ import annotations

import numpy as np

from llamacy.ggml.quantization.packing import Bytes, Floats, float16_bytes


def f32(blocks: Floats) -> Bytes:
    """Take float32 as it is."""
    return blocks.astype("<f4", copy=False).view(np.uint8)


def f16(blocks: Floats) -> Bytes:
    """Round to float16, halves to even."""
    return float16_bytes(blocks.ravel())


def bf16(blocks: Floats) -> Bytes:
    """Round to the upper half of a float32, halves to even.

    Raises
    ------
    OverflowError : one would be rounded to infinity.
    """
    bits = blocks.view(np.uint32)
    # Just under a half is added, or a half where the last bit that stays is 1.
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    rounded = (bits + (np.uint32(0x7FFF) + odd)) >> np.uint32(16)
    if (rounded & np.uint32(0x7FFF)).max(initial=0) >= 0x7F80:
        raise OverflowError
    return rounded.astype("<u2").view(np.uint8)
