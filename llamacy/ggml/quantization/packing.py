"""Small integers and scales to bytes: what `blocks.py` unpacks, the other way round.

Everything has blocks first: (n_blocks, …). Source: the block structures of ggml's
`ggml-common.h`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


def pack(fields: Bytes, n_bits: int, run: int) -> Bytes:
    """Join fields of `n_bits` bits, 8 / n_bits to a byte.

    Each run of `run` bytes takes 8 / n_bits runs of as many fields: the first one
    into the lowest bits of all the bytes, the next ones above. fields : (n_blocks, n);
    returns uint8, (n_blocks, n * n_bits / 8).
    """
    shifts = np.arange(0, 8, n_bits, dtype=np.uint8)
    runs = fields.reshape(len(fields), -1, len(shifts), run) << shifts[:, None]
    joined: Bytes = np.bitwise_or.reduce(runs, axis=2).reshape(len(fields), -1)
    return joined


def float16_bytes(values: Floats) -> Bytes:
    """Write one float16 a block: (n_blocks,) to uint8, (n_blocks, 2).

    Raises
    ------
    OverflowError : one is beyond float16.
    """
    halves = values.astype("<f2")
    if not np.isfinite(halves).all():
        raise OverflowError
    return halves.view(np.uint8).reshape(-1, 2)


def pack_scales_and_mins(scales: Bytes, mins: Bytes) -> Bytes:
    """Pack eight scales and eight minima of 6 bits into the 12 bytes of Q4_K and Q5_K.

    scales, mins : uint8, (n_blocks, 8). The first four of each keep their six bits
    together; of the others, the lower four bits share bytes 8-11 and the upper two
    stand above the first four.
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
