"""Reads the fields that ggml's blocks consist of: scales, small integers, groups.

`blocks` is uint8, (n_blocks, type_size), as in the modules for the types.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


def float16(blocks: Bytes, at: int) -> Floats:
    """Read the float16 at byte `at` of each block: float32, (n_blocks, 1)."""
    return blocks[:, at : at + 2].view("<f2").astype(np.float32)


def unpack(packed: Bytes, n_bits: int, run: int) -> Bytes:
    """Unpack fields of `n_bits` bits, one per byte.

    Each run of `run` bytes holds 8 / n_bits runs of `run` fields: first the lowest bits
    of all the bytes, then the next ones.

    Parameters
    ----------
    packed : uint8, (n_blocks, n_bytes)
        Packed fields.
    n_bits : int
        1, 2 or 4.
    run : int
        Bytes in a run.

    Returns
    -------
    uint8, (n_blocks, n_bytes * 8 / n_bits)
        The fields.
    """
    shifts = np.arange(0, 8, n_bits, dtype=np.uint8)
    runs = packed.reshape(len(packed), -1, 1, run)
    fields = (runs >> shifts[:, None]) & np.uint8((1 << n_bits) - 1)
    return fields.reshape(len(packed), -1)


def scale_groups(scales: Floats, weights: Floats) -> Floats:
    """Multiply each group of weights by its scale.

    Parameters
    ----------
    scales : float32, (n_blocks, n_groups)
        Scales of the groups.
    weights : float32, any shape of the same size as the result
        Weights of blocks in order.

    Returns
    -------
    float32, (n_blocks, block_size)
        Scaled weights.
    """
    groups = weights.reshape(*scales.shape, -1)
    return (scales[:, :, None] * groups).reshape(len(weights), -1)
