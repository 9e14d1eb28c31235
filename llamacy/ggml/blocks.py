"""Dequantises the blocks of ggml's types: one small function per type.

A block holds `block_size` weights in `type_size` bytes, little-endian: one or two
float16 scales, in some types smaller scales for groups of weights, and the weights as
small integers. Every function here takes

    blocks : uint8, (n_blocks, type_size), C-contiguous

and returns float32, (n_blocks, block_size). Operations are in ggml's order, because
float32 rounding makes the order part of the format. Source: the block structures of
ggml's `ggml-common.h`, and for MXFP4 the OCP Microscaling Formats specification 1.0.
Types that encode several weights as one number are in `codebook_blocks` and
`ternary_blocks`.
"""

from __future__ import annotations

import numpy as np

from llamacy.ggml.block_fields import (
    Bytes,
    Floats,
    float16,
    scale_groups,
    unpack,
)

# The 16 values of a non-linear 4-bit weight, for IQ4_NL and IQ4_XS.
IQ4_VALUES = np.array(
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113],
    dtype=np.float32,
)
# FP4 (E2M1) values, doubled to make them integers; scales are halved.
FP4_VALUES = np.array(
    [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12], dtype=np.float32
)
E8M0_HALVES = np.ldexp(np.float32(1), np.arange(256) - 128)


def _e4m3_halves() -> Floats:
    """Return half of each UE4M3 number; ggml passes over bit 7, and NaN is 0."""
    byte = np.arange(256)
    exponent, mantissa = byte >> 3 & 15, byte & 7
    whole = np.where(exponent > 0, mantissa + 8, mantissa)
    numbers = np.ldexp(whole.astype(np.float32), np.maximum(exponent, 1) - 11)
    return np.where(byte == 0x7F, np.float32(0), numbers)


E4M3_HALVES = _e4m3_halves()
"""Half of the number that each byte is as UE4M3, the scale of doubled FP4 values."""


def f32(blocks: Bytes) -> Floats:
    """Return float32 unchanged."""
    return blocks.view("<f4").astype(np.float32, copy=False)


def f16(blocks: Bytes) -> Floats:
    """Widen float16."""
    return blocks.view("<f2").astype(np.float32)


def bf16(blocks: Bytes) -> Floats:
    """Widen bfloat16, the upper half of a float32."""
    return (blocks.view("<u2").astype(np.uint32) << np.uint32(16)).view(np.float32)


def q4_0(blocks: Bytes) -> Floats:
    """Compute d * (q - 8); a block is d, 32 x 4 bits."""
    q = unpack(blocks[:, 2:], 4, 16).astype(np.float32) - np.float32(8)
    return float16(blocks, 0) * q


def q4_1(blocks: Bytes) -> Floats:
    """Compute d * q + m; a block is d, m, 32 x 4 bits."""
    q = unpack(blocks[:, 4:], 4, 16).astype(np.float32)
    return float16(blocks, 0) * q + float16(blocks, 2)


def _five_bits(high: Bytes, low: Bytes) -> Floats:
    """Combine 32 weights of 5 bits: the fifth bits from 4 bytes, the others from 16."""
    fifth = unpack(high, 1, 1) << np.uint8(4)
    return (unpack(low, 4, 16) | fifth).astype(np.float32)


def q5_0(blocks: Bytes) -> Floats:
    """Compute d * (q - 16); a block is d, 32 x the fifth bit, 32 x 4 bits."""
    q = _five_bits(blocks[:, 2:6], blocks[:, 6:]) - np.float32(16)
    return float16(blocks, 0) * q


def q5_1(blocks: Bytes) -> Floats:
    """Compute d * q + m; a block is d, m, 32 x the fifth bit, 32 x 4 bits."""
    q = _five_bits(blocks[:, 4:8], blocks[:, 8:])
    return float16(blocks, 0) * q + float16(blocks, 2)


def q8_0(blocks: Bytes) -> Floats:
    """Compute d * q; a block is d, 32 x int8."""
    return float16(blocks, 0) * blocks[:, 2:].view(np.int8).astype(np.float32)


def q2_k(blocks: Bytes) -> Floats:
    """Compute (d * s) * q - (dmin * m) in groups of 16 weights.

    A block is 16 x (s, m of 4 bits), 256 x 2 bits, d, dmin.
    """
    scale = float16(blocks, 80) * (blocks[:, :16] & np.uint8(15)).astype(np.float32)
    low = float16(blocks, 82) * (blocks[:, :16] >> np.uint8(4)).astype(np.float32)
    q = unpack(blocks[:, 16:80], 2, 32).astype(np.float32)
    return scale_groups(scale, q) - np.repeat(low, 16, axis=1)


def q3_k(blocks: Bytes) -> Floats:
    """Compute (d * (s - 32)) * (q - 4) in groups of 16 weights.

    A block is 256 x the third bit, 256 x 2 bits, 16 x s of 6 bits, d.
    """
    third = unpack(blocks[:, :32], 1, 32) << np.uint8(2)
    q = (unpack(blocks[:, 32:96], 2, 32) | third).astype(np.float32) - np.float32(4)
    upper = unpack(blocks[:, 104:108], 2, 4) << np.uint8(4)
    scales = (unpack(blocks[:, 96:104], 4, 8) | upper).astype(np.float32)
    return scale_groups(float16(blocks, 108) * (scales - np.float32(32)), q)


def _scales_and_mins(packed: Bytes) -> tuple[Floats, Floats]:
    """Unpack eight scales and eight minima of 6 bits from 12 bytes of Q4_K or Q5_K.

    The lower six bits of bytes 0-3 are scales 0-3, those of bytes 4-7 minima 0-3. The
    upper two bits of the same bytes are the upper bits of scales and minima 4-7, whose
    lower four bits are the nibbles of bytes 8-11.
    """
    scales, mins, nibbles = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    six, two = np.uint8(0x3F), np.uint8(0x30)
    upper_scales = (nibbles & np.uint8(15)) | ((scales >> np.uint8(2)) & two)
    upper_mins = (nibbles >> np.uint8(4)) | ((mins >> np.uint8(2)) & two)
    return (
        np.concatenate([scales & six, upper_scales], axis=1).astype(np.float32),
        np.concatenate([mins & six, upper_mins], axis=1).astype(np.float32),
    )


def _scaled_less_minima(blocks: Bytes, q: Floats) -> Floats:
    """Compute (d * s) * q - (dmin * m) in groups of 32; blocks begin d, dmin, s, m."""
    scales, mins = _scales_and_mins(blocks[:, 4:16])
    low = float16(blocks, 2) * mins
    return scale_groups(float16(blocks, 0) * scales, q) - np.repeat(low, 32, axis=1)


def q4_k(blocks: Bytes) -> Floats:
    """Compute (d * s) * q - (dmin * m) in groups of 32 weights.

    A block is d, dmin, 8 x (s, m of 6 bits), 256 x 4 bits.
    """
    return _scaled_less_minima(blocks, unpack(blocks[:, 16:], 4, 32).astype(np.float32))


def q5_k(blocks: Bytes) -> Floats:
    """Compute the same as Q4_K; a block has 256 x the fifth bit before the 4 bits."""
    fifth = unpack(blocks[:, 16:48], 1, 32) << np.uint8(4)
    q = unpack(blocks[:, 48:], 4, 32) | fifth
    return _scaled_less_minima(blocks, q.astype(np.float32))


def q6_k(blocks: Bytes) -> Floats:
    """Compute (d * s) * (q - 32) in groups of 16 weights.

    A block is 256 x 4 lower bits, 256 x 2 upper bits, 16 x s of int8, d.
    """
    upper = unpack(blocks[:, 128:192], 2, 32) << np.uint8(4)
    q = (unpack(blocks[:, :128], 4, 64) | upper).astype(np.float32) - np.float32(32)
    scales = blocks[:, 192:208].view(np.int8).astype(np.float32)
    return scale_groups(float16(blocks, 208) * scales, q)


def iq4_nl(blocks: Bytes) -> Floats:
    """Compute d * value[q]; a block is d, 32 x 4 bits."""
    return float16(blocks, 0) * IQ4_VALUES[unpack(blocks[:, 2:], 4, 16)]


def iq4_xs(blocks: Bytes) -> Floats:
    """Compute (d * (s - 32)) * value[q] in groups of 32 weights.

    A block is d, 8 x 2 upper bits of s, 8 x 4 lower ones, 256 x 4 bits.
    """
    upper = unpack(blocks[:, 2:4], 2, 1) << np.uint8(4)
    scales = (unpack(blocks[:, 4:8], 4, 1) | upper).astype(np.float32)
    values = IQ4_VALUES[unpack(blocks[:, 8:], 4, 16)]
    return scale_groups(float16(blocks, 0) * (scales - np.float32(32)), values)


def mxfp4(blocks: Bytes) -> Floats:
    """Compute 2 ** (e - 128) * value[q]; a block is e of 8 bits, 32 x FP4."""
    return E8M0_HALVES[blocks[:, :1]] * FP4_VALUES[unpack(blocks[:, 1:], 4, 16)]


def nvfp4(blocks: Bytes) -> Floats:
    """Compute s / 2 * value[q] in groups of 16; a block is 4 x s as UE4M3, 64 x FP4."""
    values = FP4_VALUES[unpack(blocks[:, 4:], 4, 8)]
    return scale_groups(E4M3_HALVES[blocks[:, :4]], values)


def q1_0(blocks: Bytes) -> Floats:
    """Compute d where a bit is set, else -d; a block is d, 128 bits."""
    d = float16(blocks, 0)
    return np.where(unpack(blocks[:, 2:], 1, 1), d, -d)


def q2_0(blocks: Bytes) -> Floats:
    """Compute d * (q - 1); a block is d, 64 x 2 bits."""
    q = unpack(blocks[:, 2:], 2, 1).astype(np.float32) - np.float32(1)
    return float16(blocks, 0) * q
