"""Quantises to the blocks of 256 weights of ggml's K types.

Each function takes float32, (n_blocks, 256), and, if known, the importance of each
weight, of the same shape; it returns uint8, (n_blocks, type_size). `scales` finds
scales, minima and codes; this module arranges them in blocks.
"""

from __future__ import annotations

from typing import overload

import numpy as np

from llamacy.ggml.quantization.packing import (
    Bytes,
    Floats,
    float16_bytes,
    pack,
    pack_scales_and_mins,
)
from llamacy.ggml.quantization.scales import around_zero, with_minima


def q2_k(blocks: Floats, importance: Floats | None = None) -> Bytes:
    """Find (d * s) * q - (dmin * m) in groups of 16; s and m of 4 bits, q of 2."""
    x, w = _groups(blocks, 16), _groups(importance, 16)
    d, dmin, s, m, q = with_minima(x, 3, 15, w)
    return np.hstack(
        [
            _by_block(s) | (_by_block(m) << np.uint8(4)),
            pack(_by_block(q), 2, 32),
            float16_bytes(d),
            float16_bytes(dmin),
        ]
    )


def q3_k(blocks: Floats, importance: Floats | None = None) -> Bytes:
    """Find (d * (s - 32)) * (q - 4) in groups of 16; s of 6 bits, q of 3."""
    x, w = _groups(blocks, 16), _groups(importance, 16)
    d, s, q = around_zero(x, (-4, 3), (-32, 31), w)
    fields, scales = _by_block(q + np.float32(4)), _by_block(s + np.float32(32))
    return np.hstack(
        [
            pack(fields >> np.uint8(2), 1, 32),
            pack(fields & np.uint8(3), 2, 32),
            pack(scales & np.uint8(15), 4, 8),
            pack(scales >> np.uint8(4), 2, 4),
            float16_bytes(d),
        ]
    )


def q4_k(blocks: Floats, importance: Floats | None = None) -> Bytes:
    """Find (d * s) * q - (dmin * m) in groups of 32; s and m of 6 bits, q of 4."""
    head, q = _with_six_bits(blocks, importance, 15)
    return np.hstack([head, pack(q, 4, 32)])


def q5_k(blocks: Floats, importance: Floats | None = None) -> Bytes:
    """Find the same as in Q4_K, with q of 5 bits."""
    head, q = _with_six_bits(blocks, importance, 31)
    fifth, others = q >> np.uint8(4), q & np.uint8(15)
    return np.hstack([head, pack(fifth, 1, 32), pack(others, 4, 32)])


def q6_k(blocks: Floats, importance: Floats | None = None) -> Bytes:
    """Find (d * s) * (q - 32) in groups of 16; s of int8, q of 6 bits."""
    x, w = _groups(blocks, 16), _groups(importance, 16)
    d, s, q = around_zero(x, (-32, 31), (-128, 127), w)
    fields = _by_block(q + np.float32(32))
    return np.hstack(
        [
            pack(fields & np.uint8(15), 4, 64),
            pack(fields >> np.uint8(4), 2, 32),
            _by_block(s + np.float32(128)) ^ np.uint8(128),  # as two's complement
            float16_bytes(d),
        ]
    )


def _with_six_bits(
    blocks: Floats, importance: Floats | None, n_steps: int
) -> tuple[Bytes, Bytes]:
    """Return the head of Q4_K and Q5_K blocks, and their codes, (n_blocks, 256)."""
    x, w = _groups(blocks, 32), _groups(importance, 32)
    d, dmin, s, m, q = with_minima(x, n_steps, 63, w)
    packed = pack_scales_and_mins(_by_block(s), _by_block(m))
    return np.hstack([float16_bytes(d), float16_bytes(dmin), packed]), _by_block(q)


@overload
def _groups(blocks: Floats, group_size: int) -> Floats: ...


@overload
def _groups(blocks: None, group_size: int) -> None: ...


@overload
def _groups(blocks: Floats | None, group_size: int) -> Floats | None: ...


def _groups(blocks: Floats | None, group_size: int) -> Floats | None:
    """Transpose (n_blocks, 256) to (group_size, n_groups, n_blocks), C-contiguous."""
    if blocks is None:
        return None
    groups = blocks.reshape(len(blocks), -1, group_size)
    return np.ascontiguousarray(groups.transpose(2, 1, 0))


def _by_block(values: Floats) -> Bytes:
    """Transpose integers of (…, n_blocks) to uint8, (n_blocks, n), flat per block."""
    turned = values.astype(np.uint8).T
    return np.ascontiguousarray(turned).reshape(values.shape[-1], -1)
