"""Random bytes as blocks of the types without a quantizer.

Any bytes are valid blocks; only the float16 factors must be finite and of similar size.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamacy.ggml.quantization import quantize
from llamacy.ggml.types import GGMLType, dequantize

# positions of the factors, counted in float16 words
FACTORS: dict[str, tuple[int, ...]] = {
    "Q2_K": (40, 41),
    "Q3_K": (54,),
    "Q4_K": (0, 1),
    "Q5_K": (0, 1),
    "Q6_K": (104,),
    "IQ4_NL": (0,),
    "IQ4_XS": (0,),
    "IQ2_XXS": (0,),
    "IQ2_XS": (0,),
    "IQ2_S": (0,),
    "IQ3_XXS": (0,),
    "IQ3_S": (0,),
    "IQ1_S": (0,),
    "IQ1_M": (),  # in the upper four bits of each of the last four words
    "TQ1_0": (26,),
    "TQ2_0": (32,),
    "Q1_0": (0,),
    "Q2_0": (0,),
    "NVFP4": (),  # of four bytes, of which few are far from the others
}


def random_blocks(
    type_name: str,
    n_blocks: int,
    rng: np.random.Generator,
    factors: tuple[float, float] = (0.01, 0.1),
) -> NDArray[np.uint8]:
    """Return (n_blocks, type_size) bytes, with factors between the two given ones."""
    size = (n_blocks, GGMLType[type_name].type_size)
    blocks = rng.integers(0, 256, size, dtype=np.uint8)
    for place in FACTORS[type_name]:
        blocks.view(np.float16)[:, place] = rng.uniform(*factors, n_blocks)
    if type_name == "IQ1_M":
        set_iq1_m_factor(blocks, rng.uniform(*factors, n_blocks).astype(np.float16))
    return blocks


def random_weights(
    type_name: str, shape: tuple[int, ...], size: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Return a matrix of blocks, (n_rows, n_bytes), with root mean square `size`."""
    kind = GGMLType[type_name]
    if type_name == "NVFP4":
        floats = size * rng.standard_normal(shape, dtype=np.float32)
        return quantize(floats, kind).reshape(shape[0], -1)
    n_blocks = shape[0] * shape[1] // kind.block_size
    sample = random_blocks(type_name, 256, rng, (1, 1)).reshape(-1)
    floats = dequantize(sample, kind, (256, kind.block_size))
    factor = size / float(np.sqrt(np.mean(floats**2)))
    blocks = random_blocks(type_name, n_blocks, rng, (factor, factor))
    return blocks.reshape(shape[0], -1)


def set_iq1_m_factor(blocks: NDArray[np.uint8], d: NDArray[np.float16]) -> None:
    """Write a factor into each IQ1_M block, lowest bits first."""
    words = blocks.view(np.uint16)[:, -4:]
    quarters = d.view(np.uint16)[:, None] >> np.arange(0, 16, 4, dtype=np.uint16)
    words[:] = words & np.uint16(0x0FFF) | quarters << np.uint16(12)
