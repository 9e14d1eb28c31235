"""Quantisation: float32 weights to blocks, the inverse of `ggml.types.dequantize`.

`floats`, `blocks_of_32`, `larger_blocks`, `ternary_blocks` are bit-identical to ggml.
`super_blocks`, for the K types, `nonlinear_blocks`, for IQ4, and, for weights that
differ in importance, `weighted_blocks_of_32` use scales that `scales` searches for with
the help of `fitting`; `codebook_blocks` those of `codebook_search`. `packing` packs
small integers into bytes. This module splits tensors into chunks of blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import ArgumentError
from llamacy.ggml.quantization import (
    blocks_of_32,
    codebook_blocks,
    floats,
    larger_blocks,
    nonlinear_blocks,
    super_blocks,
    ternary_blocks,
    weighted_blocks_of_32,
)
from llamacy.ggml.types import GGMLType

__all__ = ["QUANTIZERS", "quantize"]

_CHUNK = 1 << 15  # weights quantised at a time; temporaries stay in the cache
# The largest magnitude that any type can represent: the largest float16 times 32 * 128,
# Q6_K's largest codes. No sum of squares below it overflows.
_LARGEST = 2.0**28

# Functions that also take weights that differ in importance.
_OF_EITHER: Final = {
    GGMLType.Q2_K: super_blocks.q2_k,
    GGMLType.Q3_K: super_blocks.q3_k,
    GGMLType.Q4_K: super_blocks.q4_k,
    GGMLType.Q5_K: super_blocks.q5_k,
    GGMLType.Q6_K: super_blocks.q6_k,
    GGMLType.IQ4_NL: nonlinear_blocks.iq4_nl,
    GGMLType.IQ4_XS: nonlinear_blocks.iq4_xs,
    GGMLType.IQ3_S: codebook_blocks.iq3_s,
    GGMLType.IQ3_XXS: codebook_blocks.iq3_xxs,
    GGMLType.IQ2_S: codebook_blocks.iq2_s,
    GGMLType.IQ2_XS: codebook_blocks.iq2_xs,
    GGMLType.IQ2_XXS: codebook_blocks.iq2_xxs,
    GGMLType.IQ1_M: codebook_blocks.iq1_m,
    GGMLType.IQ1_S: codebook_blocks.iq1_s,
}

# The function for each type that can be written:
# float32, (n_blocks, block_size) -> uint8, (n_blocks, type_size).
QUANTIZERS: Final[
    dict[GGMLType, Callable[[NDArray[np.float32]], NDArray[np.uint8]]]
] = {
    GGMLType.F32: floats.f32,
    GGMLType.F16: floats.f16,
    GGMLType.BF16: floats.bf16,
    GGMLType.Q8_0: blocks_of_32.q8_0,
    GGMLType.Q4_0: blocks_of_32.q4_0,
    GGMLType.Q4_1: blocks_of_32.q4_1,
    GGMLType.Q5_0: blocks_of_32.q5_0,
    GGMLType.Q5_1: blocks_of_32.q5_1,
    GGMLType.NVFP4: larger_blocks.nvfp4,
    GGMLType.Q2_0: larger_blocks.q2_0,
    GGMLType.Q1_0: larger_blocks.q1_0,
    **_OF_EITHER,
    GGMLType.MXFP4: nonlinear_blocks.mxfp4,
    GGMLType.TQ1_0: ternary_blocks.tq1_0,
    GGMLType.TQ2_0: ternary_blocks.tq2_0,
}

# The function for each type that has one for weights of different importance:
# float32, (n_blocks, block_size), and the importance, of the same shape -> as above.
WEIGHTED: Final[
    dict[
        GGMLType,
        Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.uint8]],
    ]
] = {
    GGMLType.Q4_0: weighted_blocks_of_32.q4_0,
    GGMLType.Q4_1: weighted_blocks_of_32.q4_1,
    GGMLType.Q5_0: weighted_blocks_of_32.q5_0,
    GGMLType.Q5_1: weighted_blocks_of_32.q5_1,
    **_OF_EITHER,
}
_LEAST: Final = np.float32(1e-6)  # importance, of its mean: no weight counts nothing


def quantize(
    weights: NDArray[np.float32],
    ggml_type: GGMLType,
    importance: NDArray[np.float32] | None = None,
) -> NDArray[np.uint8]:
    """Quantise float32 weights to blocks.

    For all but the K and IQ types the result is bit-identical to ggml's, unless weights
    differ in importance. For those llamacy has its own search for scales.

    Parameters
    ----------
    weights : float32, (…, n_in)
        Weights; `n_in` is a multiple of the block size.
    ggml_type : GGMLType
        Type of the blocks, one of `QUANTIZERS`.
    importance : float32, (n_in,), optional
        How much an error in each column matters, such as the mean square of its input;
        at least 0. Types that round every weight by itself, and those of `QUANTIZERS`
        alone, do not need it.

    Returns
    -------
    uint8, (n_bytes,)
        Whole blocks, row after row; a fresh array.

    Raises
    ------
    ArgumentError
        The type cannot be written, rows are not whole blocks, or a weight is NaN,
        infinite or too large for the type's scales.

    Examples
    --------
    >>> quantize(np.linspace(-1, 1, 64, dtype=np.float32), GGMLType.Q8_0).nbytes
    68
    """
    _check(weights, ggml_type)
    block_size = ggml_type.block_size
    to_blocks = _quantizer(ggml_type, importance)
    blocks = np.ascontiguousarray(weights).reshape(-1, block_size)
    result = np.empty((len(blocks), ggml_type.type_size), np.uint8)
    step = _CHUNK // block_size
    try:
        # the quantisers check for overflow, underflow and division by zero themselves
        with np.errstate(all="ignore"):
            for first in range(0, len(blocks), step):
                chunk = blocks[first : first + step]
                result[first : first + step] = to_blocks(chunk, first)
    except OverflowError:
        raise _too_large(weights, ggml_type) from None
    return result.reshape(-1)


def _quantizer(
    ggml_type: GGMLType, importance: NDArray[np.float32] | None
) -> Callable[[NDArray[np.float32], int], NDArray[np.uint8]]:
    """Return the function for blocks from a given one on, of those of all rows."""
    if importance is None or ggml_type not in WEIGHTED:
        quantizer = QUANTIZERS[ggml_type]
        return lambda blocks, _first: quantizer(blocks)
    weighted = WEIGHTED[ggml_type]
    mean = importance.mean(dtype=np.float64).astype(np.float32)
    relative = importance / mean if mean > 0 else np.ones_like(importance)
    columns = np.maximum(relative, _LEAST).reshape(-1, ggml_type.block_size)

    def quantizer_of(blocks: NDArray[np.float32], first: int) -> NDArray[np.uint8]:
        places = np.arange(first, first + len(blocks)) % len(columns)
        return weighted(blocks, columns[places])

    return quantizer_of


def _check(weights: NDArray[np.float32], ggml_type: GGMLType) -> None:
    """Raise ArgumentError unless the weights can become blocks of that type."""
    if ggml_type not in QUANTIZERS:
        known = ", ".join(each.name for each in QUANTIZERS)
        raise ArgumentError(f"ggml_type: wanted one of {known}, found {ggml_type.name}")
    if weights.dtype != np.float32:
        raise ArgumentError(f"weights: wanted float32, found {weights.dtype}")
    block_size = ggml_type.block_size
    if weights.ndim == 0 or weights.shape[-1] % block_size:
        raise ArgumentError(
            f"weights: wanted rows of a multiple of {block_size} weights for "
            f"{ggml_type.name}, found {weights.shape}"
        )
    magnitude = _magnitude(weights)
    if not np.isfinite(magnitude):
        at = tuple(map(int, np.argwhere(~np.isfinite(weights))[0]))
        raise ArgumentError(
            f"weights: wanted finite numbers, found {weights[at]} at {at}"
        )
    if magnitude >= _LARGEST and block_size > 1:
        raise _too_large(weights, ggml_type)


def _magnitude(weights: NDArray[np.float32]) -> float:
    """Return the largest magnitude; NaN or infinity if a weight is."""
    if weights.size == 0:
        return 0.0
    return float(np.maximum(weights.max(), -weights.min()))


def _too_large(weights: NDArray[np.float32], ggml_type: GGMLType) -> ArgumentError:
    return ArgumentError(
        f"weights: wanted magnitudes within the range of {ggml_type.name}, "
        f"found {_magnitude(weights):g}"
    )
