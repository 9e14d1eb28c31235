"""Quantises to the blocks of 32 weights of ggml's older types, by importance.

`blocks_of_32` takes the scale of the farthest weight. Where it is known which weights
matter, the scale that lets those come closest is searched for instead, and the others
may be clipped. Each function takes float32, (n_blocks, 32), and the importance of each
weight, of the same shape; it returns uint8, (n_blocks, type_size).
"""

from __future__ import annotations

import numpy as np

from llamacy.ggml.quantization.blocks_of_32 import five_bits
from llamacy.ggml.quantization.fitting import codes, fit_scale, fit_scale_and_low
from llamacy.ggml.quantization.packing import Bytes, Floats, float16_bytes, pack
from llamacy.ggml.quantization.scales import rounded_to_float16, weighted

_STEPS = np.linspace(-1.5, 1, 16, dtype=np.float32)
_ZERO = np.zeros(1, np.float32)


def q4_0(blocks: Floats, importance: Floats) -> Bytes:
    """Find d * (q - 8)."""
    d, q = _around_zero(blocks, importance, 8)
    return np.hstack([float16_bytes(d), pack(q, 4, 16)])


def q5_0(blocks: Floats, importance: Floats) -> Bytes:
    """Find d * (q - 16)."""
    d, q = _around_zero(blocks, importance, 16)
    return np.hstack([float16_bytes(d), five_bits(q)])


def q4_1(blocks: Floats, importance: Floats) -> Bytes:
    """Find d * q + m, q of 4 bits."""
    d, m, q = _with_minimum(blocks, importance, 15)
    return np.hstack([float16_bytes(d), float16_bytes(m), pack(q, 4, 16)])


def q5_1(blocks: Floats, importance: Floats) -> Bytes:
    """Find d * q + m, q of 5 bits."""
    d, m, q = _with_minimum(blocks, importance, 31)
    return np.hstack([float16_bytes(d), float16_bytes(m), five_bits(q)])


def _around_zero(blocks: Floats, importance: Floats, half: int) -> tuple[Floats, Bytes]:
    """Return d, (n_blocks,), and codes 0 to 2 * half - 1, where `half` means zero."""
    x, ends = np.ascontiguousarray(blocks.T), (-half, half - 1)
    w = weighted(x, np.ascontiguousarray(importance.T))
    d = rounded_to_float16(fit_scale(x, w, ends, _STEPS).scale)
    q = codes(x, d, _ZERO, ends) + np.float32(half)
    return d, q.T.astype(np.uint8)


def _with_minimum(
    blocks: Floats, importance: Floats, n_steps: int
) -> tuple[Floats, Floats, Bytes]:
    """Return d and m, both (n_blocks,), and codes 0 to `n_steps`."""
    x = np.ascontiguousarray(blocks.T)
    w = weighted(x, np.ascontiguousarray(importance.T))
    fit = fit_scale_and_low(x, w, n_steps, _STEPS, is_free=True)
    d, low = rounded_to_float16(fit.scale), rounded_to_float16(fit.low)
    q = codes(x, d, low, (0, n_steps))
    return d, -low, q.T.astype(np.uint8)
