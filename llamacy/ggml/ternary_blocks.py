"""How ggml's ternary types spell float32 weights, as `blocks` does the others.

Weights are -1, 0 or 1 times one float16 scale d for 256 of them. Source: the block
structures and `dequantize_row_tq*` of ggml.
"""

from __future__ import annotations

import numpy as np

from llamacy.ggml.block_fields import Bytes, Floats, float16, unpack


def _trits(packed: Bytes, n_digits: int) -> Bytes:
    """Spread the digits 0, 1 and 2 of bytes out, the first of all bytes first.

    A byte holds five digits as the fraction 0.abcde of base 3, in units of 1/256: three
    times the fraction is a.bcde, and so on. packed : (n_blocks, n_bytes); returns
    (n_blocks, n_bytes * n_digits).
    """
    powers = np.array([1, 3, 9, 27, 81], np.uint8)[:n_digits, None]
    fractions = packed[:, None, :] * powers  # modulo 256: what is before the point goes
    digits = fractions.astype(np.uint16) * np.uint16(3) >> np.uint16(8)
    return digits.astype(np.uint8).reshape(len(packed), -1)


def tq1_0(blocks: Bytes) -> Floats:
    """Compute d * (q - 1) with 5 weights a byte.

    A block is 32 bytes of 5 x 32 weights, 16 of 5 x 16, 4 of 4 x 4, and d.
    """
    parts = ((0, 32, 5), (32, 48, 5), (48, 52, 4))
    trits = [_trits(blocks[:, start:end], n) for start, end, n in parts]
    q = np.concatenate(trits, axis=1).astype(np.float32) - np.float32(1)
    return float16(blocks, 52) * q


def tq2_0(blocks: Bytes) -> Floats:
    """Compute d * (q - 1), where q may be 3 too; a block is 256 x 2 bits, d."""
    q = unpack(blocks[:, :64], 2, 32).astype(np.float32) - np.float32(1)
    return float16(blocks, 64) * q
