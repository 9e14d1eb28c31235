"""ggml's tensor types: their numbers, sizes and dequantisation.

Source: `enum ggml_type` of ggml's `ggml.h`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import ArgumentError
from llamacy.ggml import blocks, codebook_blocks, ternary_blocks

QUANTIZATION_VERSION = 2
"""Version of the block layouts, in `general.quantization_version`."""

_CHUNK = 1 << 18  # weights dequantised at a time; temporaries stay in the cache


class GGMLType(IntEnum):
    """The tensor types that llamacy reads, numbered as in GGUF files.

    >>> GGMLType.Q4_K.block_size, GGMLType.Q4_K.type_size
    (256, 144)
    """

    F32 = 0
    F16 = 1
    Q4_0 = 2
    Q4_1 = 3
    Q5_0 = 6
    Q5_1 = 7
    Q8_0 = 8
    Q2_K = 10
    Q3_K = 11
    Q4_K = 12
    Q5_K = 13
    Q6_K = 14
    IQ2_XXS = 16
    IQ2_XS = 17
    IQ3_XXS = 18
    IQ1_S = 19
    IQ4_NL = 20
    IQ3_S = 21
    IQ2_S = 22
    IQ4_XS = 23
    IQ1_M = 29
    BF16 = 30
    TQ1_0 = 34
    TQ2_0 = 35
    MXFP4 = 39
    NVFP4 = 40
    Q1_0 = 41
    Q2_0 = 42

    @property
    def block_size(self) -> int:
        """Weights per block; rows are whole blocks."""
        return _LAYOUTS[self].block_size

    @property
    def type_size(self) -> int:
        """Bytes per block."""
        return _LAYOUTS[self].type_size


class _Layout(NamedTuple):
    block_size: int
    type_size: int
    dequantize: Callable[[NDArray[np.uint8]], NDArray[np.float32]]


_LAYOUTS = {
    GGMLType.F32: _Layout(1, 4, blocks.f32),
    GGMLType.F16: _Layout(1, 2, blocks.f16),
    GGMLType.Q4_0: _Layout(32, 18, blocks.q4_0),
    GGMLType.Q4_1: _Layout(32, 20, blocks.q4_1),
    GGMLType.Q5_0: _Layout(32, 22, blocks.q5_0),
    GGMLType.Q5_1: _Layout(32, 24, blocks.q5_1),
    GGMLType.Q8_0: _Layout(32, 34, blocks.q8_0),
    GGMLType.Q2_K: _Layout(256, 84, blocks.q2_k),
    GGMLType.Q3_K: _Layout(256, 110, blocks.q3_k),
    GGMLType.Q4_K: _Layout(256, 144, blocks.q4_k),
    GGMLType.Q5_K: _Layout(256, 176, blocks.q5_k),
    GGMLType.Q6_K: _Layout(256, 210, blocks.q6_k),
    GGMLType.IQ2_XXS: _Layout(256, 66, codebook_blocks.iq2_xxs),
    GGMLType.IQ2_XS: _Layout(256, 74, codebook_blocks.iq2_xs),
    GGMLType.IQ3_XXS: _Layout(256, 98, codebook_blocks.iq3_xxs),
    GGMLType.IQ1_S: _Layout(256, 50, codebook_blocks.iq1_s),
    GGMLType.IQ4_NL: _Layout(32, 18, blocks.iq4_nl),
    GGMLType.IQ3_S: _Layout(256, 110, codebook_blocks.iq3_s),
    GGMLType.IQ2_S: _Layout(256, 82, codebook_blocks.iq2_s),
    GGMLType.IQ4_XS: _Layout(256, 136, blocks.iq4_xs),
    GGMLType.IQ1_M: _Layout(256, 56, codebook_blocks.iq1_m),
    GGMLType.BF16: _Layout(1, 2, blocks.bf16),
    GGMLType.TQ1_0: _Layout(256, 54, ternary_blocks.tq1_0),
    GGMLType.TQ2_0: _Layout(256, 66, ternary_blocks.tq2_0),
    GGMLType.MXFP4: _Layout(32, 17, blocks.mxfp4),
    GGMLType.NVFP4: _Layout(64, 36, blocks.nvfp4),
    GGMLType.Q1_0: _Layout(128, 18, blocks.q1_0),
    GGMLType.Q2_0: _Layout(64, 18, blocks.q2_0),
}

# Unsupported types, so that errors can name them. ggml removed some of them, but files
# in the wild have them; the last two are of PrismML's llama.cpp.
_OTHER_NAMES = {
    4: "Q4_2",
    5: "Q4_3",
    9: "Q8_1",
    15: "Q8_K",
    24: "I8",
    25: "I16",
    26: "I32",
    27: "I64",
    28: "F64",
    31: "Q4_0_4_4",
    32: "Q4_0_4_8",
    33: "Q4_0_8_8",
    36: "IQ4_NL_4_4",
    37: "IQ4_NL_4_8",
    38: "IQ4_NL_8_8",
    142: "PQ2_0",
    143: "PTQ1_0",
}


def type_name(type_id: int) -> str:
    """Return ggml's name of a tensor type, supported or not.

    >>> type_name(12), type_name(26), type_name(99)
    ('Q4_K', 'I32', 'unknown type 99')
    """
    try:
        return GGMLType(type_id).name
    except ValueError:
        return _OTHER_NAMES.get(type_id, f"unknown type {type_id}")


def dequantize(
    data: NDArray[np.uint8], ggml_type: GGMLType, shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Dequantise blocks to float32, bit-identical to ggml's own dequantisation.

    Parameters
    ----------
    data : uint8, (n_bytes,)
        Whole blocks, row after row.
    ggml_type : GGMLType
        Type of the blocks.
    shape : tuple of int
        Sizes, slowest first; the last one is a multiple of the block size.

    Returns
    -------
    float32, of `shape`
        Weights: C-contiguous, a fresh array.

    Raises
    ------
    ArgumentError
        `shape` is not whole blocks, or does not match the size of `data`.
    """
    layout = _LAYOUTS[ggml_type]
    if shape[-1] % layout.block_size:
        raise ArgumentError(
            f"shape: wanted rows of a multiple of {layout.block_size} weights for "
            f"{ggml_type.name}, found {shape}"
        )
    n_blocks = math.prod(shape) // layout.block_size
    if data.size != n_blocks * layout.type_size:
        raise ArgumentError(
            f"data: wanted {n_blocks * layout.type_size} bytes for {shape} weights "
            f"of {ggml_type.name}, found {data.size}"
        )
    packed = data.reshape(n_blocks, layout.type_size)
    weights = np.empty((n_blocks, layout.block_size), np.float32)
    step = _CHUNK // layout.block_size
    # a file may have infinite or NaN scales, which shall pass without a warning
    with np.errstate(all="ignore"):
        for first in range(0, n_blocks, step):
            chunk = packed[first : first + step]
            weights[first : first + step] = layout.dequantize(chunk)
    return weights.reshape(shape)
