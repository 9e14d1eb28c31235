"""What the blocks of many ggml types are made of: factors, small integers, groups.

`blocks` here is uint8, (n_blocks, type_size), as in the modules that read them.
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
    """Spread fields of `n_bits` bits out, one per byte.

    Each run of `run` bytes holds 8 / n_bits runs of as many fields: first the
    lowest bits of all the bytes, then the next ones. packed : (n_blocks, n_bytes);
    returns uint8, (n_blocks, n_bytes * 8 / n_bits).
    """
    shifts = np.arange(0, 8, n_bits, dtype=np.uint8)
    runs = packed.reshape(len(packed), -1, 1, run)
    fields = (runs >> shifts[:, None]) & np.uint8((1 << n_bits) - 1)
    return fields.reshape(len(packed), -1)


def scale_groups(scales: Floats, weights: Floats) -> Floats:
    """Multiply each group of weights by its scale; scales : (n_blocks, n_groups)."""
    groups = weights.reshape(*scales.shape, -1)
    return (scales[:, :, None] * groups).reshape(len(weights), -1)
