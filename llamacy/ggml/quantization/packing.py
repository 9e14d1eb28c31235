"""Packs small integers and scales into bytes, the inverse of `ggml.blocks`.

The first axis of every array is that of blocks. Source: the block structures of ggml's
`ggml-common.h`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


def pack(fields: Bytes, n_bits: int, run: int) -> Bytes:
    """Pack fields of `n_bits` bits, 8 / n_bits per byte; the inverse of `unpack`.

    Each run of `run` bytes takes 8 / n_bits runs of `run` fields: the first one into
    the lowest bits of all the bytes, the next ones above.

    Parameters
    ----------
    fields : uint8, (n_blocks, n)
        Fields, one per byte.
    n_bits : int
        1, 2 or 4.
    run : int
        Bytes in a run.

    Returns
    -------
    uint8, (n_blocks, n * n_bits / 8)
        Packed fields.
    """
    shifts = np.arange(0, 8, n_bits, dtype=np.uint8)
    runs = fields.reshape(len(fields), -1, len(shifts), run) << shifts[:, None]
    joined: Bytes = np.bitwise_or.reduce(runs, axis=2).reshape(len(fields), -1)
    return joined


def float16_bytes(values: Floats) -> Bytes:
    """Round one number per block to float16: (n_blocks,) to uint8, (n_blocks, 2).

    Raises
    ------
    OverflowError
        A number is beyond the range of float16.
    """
    halves = values.astype("<f2")
    if not np.isfinite(halves).all():
        raise OverflowError
    return halves.view(np.uint8).reshape(-1, 2)


def inverse(d: Floats) -> Floats:
    """Return 1 / d, or 0 where d is so small that 1 / d is infinite."""
    inverted = np.divide(np.float32(1), d)
    return np.where(np.isfinite(inverted), inverted, np.float32(0))


def round_half_away(values: Floats) -> Floats:
    """Round to whole numbers, halves away from zero."""
    whole = np.trunc(values)
    return whole + np.trunc(2 * (values - whole))  # exact, unlike adding 0.5


def pack_scales_and_mins(scales: Bytes, mins: Bytes) -> Bytes:
    """Pack eight scales and eight minima of 6 bits into the 12 bytes of Q4_K and Q5_K.

    The first four of each take the lower six bits of bytes 0-7. The others are split:
    their lower four bits go into bytes 8-11, their upper two bits into the upper bits
    of bytes 0-7.

    Parameters
    ----------
    scales : uint8, (n_blocks, 8)
        Scales, 0 to 63.
    mins : uint8, (n_blocks, 8)
        Minima, 0 to 63.

    Returns
    -------
    uint8, (n_blocks, 12)
        Packed scales and minima.
    """
    four, six = np.uint8(4), np.uint8(6)
    last_scales, last_mins = scales[:, 4:], mins[:, 4:]
    return np.hstack(
        [
            scales[:, :4] | last_scales >> four << six,
            mins[:, :4] | last_mins >> four << six,
            last_scales & np.uint8(15) | last_mins << four,
        ]
    )
