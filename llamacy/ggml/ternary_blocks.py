"""Dequantises the blocks of ggml's ternary types; `blocks` has most others.

Weights are -1, 0 or 1 times a float16 scale d, which 256 weights share. Source: the
block structures and `dequantize_row_tq*` of ggml.
"""

from __future__ import annotations

import numpy as np

from llamacy.ggml.block_fields import Bytes, Floats, float16, unpack


def _trits(packed: Bytes, n_digits: int) -> Bytes:
    """Extract ternary digits, the first ones of all bytes first.

    A byte encodes five digits as the fraction 0.abcde in base 3, in units of 1/256:
    three times the fraction is a.bcde, and so on.

    Parameters
    ----------
    packed : uint8, (n_blocks, n_bytes)
        Bytes of digits.
    n_digits : int
        Digits to extract from each byte.

    Returns
    -------
    uint8, (n_blocks, n_bytes * n_digits)
        Digits 0, 1 and 2.
    """
    powers = np.array([1, 3, 9, 27, 81], np.uint8)[:n_digits, None]
    fractions = packed[:, None, :] * powers  # modulo 256, which drops the integer part
    digits = fractions.astype(np.uint16) * np.uint16(3) >> np.uint16(8)
    return digits.astype(np.uint8).reshape(len(packed), -1)


def tq1_0(blocks: Bytes) -> Floats:
    """Compute d * (q - 1), with 5 weights per byte.

    A block is 32 bytes of 5 x 32 weights, 16 of 5 x 16, 4 of 4 x 4, and d.
    """
    parts = ((0, 32, 5), (32, 48, 5), (48, 52, 4))
    trits = [_trits(blocks[:, start:end], n) for start, end, n in parts]
    q = np.concatenate(trits, axis=1).astype(np.float32) - np.float32(1)
    return float16(blocks, 52) * q


def tq2_0(blocks: Bytes) -> Floats:
    """Compute d * (q - 1), where q may also be 3; a block is 256 x 2 bits, d."""
    q = unpack(blocks[:, :64], 2, 32).astype(np.float32) - np.float32(1)
    return float16(blocks, 64) * q
