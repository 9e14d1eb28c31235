"""Quantises to the blocks of types whose 4-bit codes stand for 16 uneven values.

IQ4_NL and IQ4_XS search for scales, by importance where that is known. MXFP4 is
bit-identical to ggml: its scale is the power of two that the largest magnitude allows.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from llamacy.ggml.blocks import E8M0_HALVES, FP4_VALUES, IQ4_VALUES
from llamacy.ggml.quantization.fitting import fit_levels
from llamacy.ggml.quantization.packing import Bytes, Floats, float16_bytes, pack
from llamacy.ggml.quantization.scales import (
    around_levels,
    rounded_to_float16,
    squares,
    weighted,
)

# The values that the farthest weight is mapped to, at either end.
_REACHES: Final = np.array(
    [*range(-134, -118, 2), *range(106, 122, 2)], dtype=np.float32
)


def _nearest_codes(values: Floats) -> Bytes:
    """Return the code nearest to each half from -128 on, for `_codes`."""
    halves = np.arange(512, dtype=np.float32) / 2 - np.float32(127.75)
    codes: Bytes = np.abs(halves[:, None] - values).argmin(axis=1).astype(np.uint8)
    return codes


# No number between two multiples of 1/2 is as near to one value as to another.
_NEAREST: Final = _nearest_codes(IQ4_VALUES)


def iq4_nl(blocks: Floats, importance: Floats | None = None) -> Bytes:
    """Find d * value[q] in blocks of 32 weights."""
    x, w = _grouped(blocks, importance, 32)
    x, w = x[:, 0], w[:, 0]
    d = rounded_to_float16(fit_levels(x, w, _REACHES, _levels).scale)
    return np.hstack([float16_bytes(d), pack(_codes(x, d).T, 4, 16)])


def iq4_xs(blocks: Floats, importance: Floats | None = None) -> Bytes:
    """Find (d * (s - 32)) * value[q] in groups of 32 weights; s of 6 bits."""
    x, w = _grouped(blocks, importance, 32)
    scale = fit_levels(x, w, _REACHES, _levels).scale
    d, s = around_levels(x, w, scale, (-32, 31), _levels)
    q = np.ascontiguousarray(_codes(x, d * s).T).reshape(len(blocks), -1)
    scales = (s.T + 32).astype(np.uint8)
    return np.hstack(
        [
            float16_bytes(d),
            pack(scales >> np.uint8(4), 2, 1),
            pack(scales & np.uint8(15), 4, 1),
            pack(q, 4, 16),
        ]
    )


def mxfp4(blocks: Floats) -> Bytes:
    """Round to 2 ** (e - 128) * value[q] in blocks of 32 weights."""
    largest = np.abs(blocks).max(axis=1)
    _, exponent = np.frexp(largest)  # largest = [1/2, 1) * 2 ** exponent
    e = np.clip(exponent + 124, 0, 255) * (largest > 0)
    scale = E8M0_HALVES[e][:, None, None]
    distance = np.abs(FP4_VALUES * scale - blocks[:, :, None])
    q = distance.argmin(axis=2).astype(np.uint8)
    return np.hstack([e.astype(np.uint8)[:, None], pack(q, 4, 16)])


def _codes(x: Floats, scale: Floats) -> Bytes:
    """Return the codes that decode closest to `x`."""
    inverse = np.divide(np.float32(2), scale)
    halves = np.floor(x * np.where(np.isfinite(inverse), inverse, np.float32(0)))
    places: NDArray[np.int16] = np.clip(halves, -256, 255).astype(np.int16)
    found: Bytes = _NEAREST[places + np.int16(256)]
    return found


def _levels(x: Floats, scale: Floats) -> Floats:
    """Return the values of those codes."""
    return IQ4_VALUES[_codes(x, scale)]


def _grouped(
    blocks: Floats, importance: Floats | None, size: int
) -> tuple[Floats, Floats]:
    """Return weights and what errors count: (group_size, n_groups, n_blocks)."""
    x = _transposed(blocks, size)
    return x, squares(x) if importance is None else weighted(
        x, _transposed(importance, size)
    )


def _transposed(blocks: Floats, size: int) -> Floats:
    groups = blocks.reshape(len(blocks), -1, size)
    return np.ascontiguousarray(groups.transpose(2, 1, 0))
