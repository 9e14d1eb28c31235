"""The old layouts of blocks, and how they become the current one.

A block of 32 weights has a scale d, a minimum m in types whose names end in _1, the 32
fifth bits in Q5_0 and Q5_1, and 32 codes. The layouts differ in three ways:

- Until ggjt v1, byte i of the nibbles held weights 2i and 2i + 1; later it holds
  weights i and i + 16. Fifth bits have always been in the order of the weights.
- Until ggjt v2, d and m of Q4_0 and Q4_1, and d of Q8_0, were float32; later they are
  float16, which those of Q5_0 and Q5_1 have always been. They are rounded to the
  nearest float16; for a scale of 2**-14 or more the error is at most 1 part in 2048.
- In the first days a row was not a sequence of blocks, but all its minima, then all its
  scales, then all its nibbles: Q4_0 until 11 March 2023, Q4_1 until 17 March. Nothing
  in a file states it, but its nibbles are absurd numbers if read as scales.

Source: `quantize_row_q*` and `dequantize_row_q*` of `ggml.c`, March to May 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llamacy.ggml.quantization.packing import pack
from llamacy.ggml.types import GGMLType

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Era:
    """The layout of blocks in a range of versions.

    Attributes
    ----------
    float32_scales : bool
        Whether the scales of Q4_0, Q4_1 and Q8_0 are float32.
    neighbours : bool
        Whether the two weights of a byte are neighbours, rather than 16 apart.
    """

    float32_scales: bool
    neighbours: bool


NEIGHBOURS: Final = Era(float32_scales=True, neighbours=True)
HALVES: Final = Era(float32_scales=True, neighbours=False)
TODAY: Final = Era(float32_scales=False, neighbours=False)

# For each type whose layout changed: the number of scales and minima of a block, and of
# bytes of fifth bits.
_PARTS: Final = {
    GGMLType.Q4_0: (1, 0),
    GGMLType.Q4_1: (2, 0),
    GGMLType.Q5_0: (1, 4),
    GGMLType.Q5_1: (2, 4),
    GGMLType.Q8_0: (1, 0),
}
_ONCE_FLOAT32: Final = (GGMLType.Q4_0, GGMLType.Q4_1, GGMLType.Q8_0)


class ScaleError(ValueError):
    """A scale is NaN, or too large for float16; its message is the scale."""


def old_type_size(ggml_type: GGMLType, era: Era) -> int:
    """Return the size of a block in that era, in bytes."""
    if not _has_float32_scales(ggml_type, era):
        return ggml_type.type_size
    n_scales, _ = _PARTS[ggml_type]
    return ggml_type.type_size + 2 * n_scales


def modernise(blocks: Bytes, ggml_type: GGMLType, era: Era) -> tuple[Bytes, int]:
    """Rewrite blocks in the current layout.

    Parameters
    ----------
    blocks : uint8, (n_blocks, old_type_size)
        The old blocks.
    ggml_type : GGMLType
        Their type.
    era : Era
        Their layout.

    Returns
    -------
    blocks : uint8, (n_blocks, type_size)
        The new blocks.
    n_rounded : int
        Number of scales and minima that were rounded to float16.

    Raises
    ------
    ScaleError
        A scale or minimum is NaN, or beyond the range of float16.
    """
    if era == TODAY or ggml_type not in _PARTS:
        return blocks, 0
    n_scales, n_fifth = _PARTS[ggml_type]
    n_bytes = n_scales * (4 if _has_float32_scales(ggml_type, era) else 2)
    scales, n_rounded = blocks[:, :n_bytes], 0
    if _has_float32_scales(ggml_type, era):
        scales, n_rounded = _as_float16(scales)
    fifth, codes = np.split(blocks[:, n_bytes:], [n_fifth], axis=1)
    if era.neighbours and ggml_type != GGMLType.Q8_0:
        codes = _reorder_nibbles(codes)
    return np.hstack([scales, fifth, codes]), n_rounded


def gather_planes(row: Bytes, ggml_type: GGMLType) -> Bytes:
    """Turn rows that have all scales before all nibbles into blocks.

    Parameters
    ----------
    row : uint8, (n_rows, n_bytes)
        Rows of the first days.
    ggml_type : GGMLType
        Q4_0 or Q4_1.

    Returns
    -------
    uint8, (n_blocks, old_type_size)
        Blocks in the layout of `NEIGHBOURS`.
    """
    n_scales, _ = _PARTS[ggml_type]
    n_rows, n_bytes = row.shape
    n_blocks = n_bytes // old_type_size(ggml_type, NEIGHBOURS)
    planes = row[:, : 4 * n_scales * n_blocks].reshape(n_rows, n_scales, n_blocks, 4)
    nibbles = row[:, 4 * n_scales * n_blocks :].reshape(n_rows, n_blocks, 16)
    # in rows the minima come first, in blocks the scale does
    scales = [planes[:, i] for i in reversed(range(n_scales))]
    return np.concatenate([*scales, nibbles], axis=2).reshape(n_rows * n_blocks, -1)


def _has_float32_scales(ggml_type: GGMLType, era: Era) -> bool:
    return era.float32_scales and ggml_type in _ONCE_FLOAT32


def _as_float16(scales: Bytes) -> tuple[Bytes, int]:
    """Round float32 to float16: (n_blocks, 4 n) bytes to (n_blocks, 2 n)."""
    floats = np.ascontiguousarray(scales).view("<f4")
    with np.errstate(all="ignore"):  # NaN and overflow are checked below
        halves = floats.astype("<f2")
    if not np.isfinite(halves).all():
        raise ScaleError(f"{floats[~np.isfinite(halves)][0]:g}")
    n_rounded = int(np.count_nonzero(halves.astype(np.float32) != floats))
    return halves.view(np.uint8), n_rounded


def _reorder_nibbles(nibbles: Bytes) -> Bytes:
    """Pair each weight with the one 16 further on instead of its neighbour."""
    codes = np.empty((len(nibbles), 32), np.uint8)
    codes[:, 0::2] = nibbles & np.uint8(15)
    codes[:, 1::2] = nibbles >> np.uint8(4)
    return pack(codes, 4, 16)
