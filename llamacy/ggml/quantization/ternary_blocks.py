"""Quantises to the blocks of ggml's ternary types, bit-identical to ggml.

Weights become -1, 0 or 1 times d, the largest magnitude of 256: for models that were
trained to have such weights. Each function takes float32, (n_blocks, 256), and returns
uint8, (n_blocks, type_size).
"""

from __future__ import annotations

import numpy as np

from llamacy.ggml.quantization.packing import Bytes, Floats, float16_bytes, pack


def tq1_0(blocks: Floats) -> Bytes:
    """Round to d * (q - 1), 5 weights in a byte."""
    d, q = _rounded(blocks)
    parts = ((0, 160, 5), (160, 240, 5), (240, 256, 4))
    return np.hstack([*(_bytes(q[:, a:b], n) for a, b, n in parts), float16_bytes(d)])


def tq2_0(blocks: Floats) -> Bytes:
    """Round to d * (q - 1), 4 weights in a byte."""
    d, q = _rounded(blocks)
    return np.hstack([pack(q, 2, 32), float16_bytes(d)])


def _rounded(blocks: Floats) -> tuple[Floats, Bytes]:
    """Return d, (n_blocks,), and codes 0 to 2."""
    d = np.abs(blocks).max(axis=1)
    inverse = np.divide(np.float32(1), d)
    scaled = blocks * np.where(np.isfinite(inverse), inverse, np.float32(0))[:, None]
    whole = np.trunc(scaled)
    rounded = whole + np.trunc(2 * (scaled - whole))  # halves go away from zero
    return d, (rounded + 1).astype(np.uint8)


def _bytes(q: Bytes, n_digits: int) -> Bytes:
    """Join `n_digits` digits of base 3 to a fraction of 5 digits, in units of 1/256."""
    digits = q.reshape(len(q), n_digits, -1)
    powers = 3 ** np.arange(4, 4 - n_digits, -1, dtype=np.uint16)
    number = (digits * powers[:, None]).sum(axis=1, dtype=np.uint16).astype(np.uint32)
    rounded_up: Bytes = ((number * 256 + 242) // 243).astype(np.uint8)
    return rounded_up
