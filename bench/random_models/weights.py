"""Random weights, in any type and fast: blocks quantised once are used again."""

from __future__ import annotations

import math
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llamacy.formats.gguf.writer import NewTensor
from llamacy.ggml.quantization import quantize
from llamacy.ggml.types import GGMLType

SIZE: Final = 0.02
"""Root mean square of the weights: with it, values stay finite at all widths."""
QUERY_NORM: Final = 0.1

# Blocks of a pool, by the size of a block: a prime number, so that the rows of a matrix
# begin at different blocks, and differ. A pool has at most a million weights.
_N_BLOCKS: Final = {1: 1_048_583, 32: 32_771, 256: 2_053}
_ONES: Final = ("norm.weight", "norm_1.weight", "norm_2.weight", "scale.weight")


def random_blocks(tensor: NewTensor, seed: int) -> NDArray[np.uint8]:
    """Return the blocks of a tensor: uint8, (n_bytes,).

    Factors and divisors are 1, whatever the seed, and so are weights of norms, but for
    those of queries: some families leave it to training to make scores small. States
    decay: the logarithms of it are -1.
    """
    if tensor.name.endswith(".ssm_a"):
        return np.full(tensor.shape, -1, "<f4").reshape(-1).view(np.uint8)
    if is_factor(tensor.name):
        value = QUERY_NORM if tensor.name.endswith("attn_q_norm.weight") else 1
        return np.full(tensor.shape, value, "<f4").reshape(-1).view(np.uint8)
    rng = np.random.default_rng([seed, *tensor.name.encode()])
    pool = _pool(tensor.type)
    n_blocks = math.prod(tensor.shape) // tensor.type.block_size
    first = int(rng.integers(len(pool)))
    head = pool[first : first + n_blocks]
    rest = np.resize(pool, (n_blocks - len(head), pool.shape[1]))
    return np.concatenate([head, rest]).reshape(-1)


def is_factor(name: str) -> bool:
    """Whether values are multiplied by a tensor's, or divided."""
    is_rope = name.startswith(("rope_freqs", "rope_factors"))
    return is_rope or name.endswith((*_ONES, ".scale"))


@cache
def _pool(kind: GGMLType) -> NDArray[np.uint8]:
    """Quantise normally distributed weights: uint8, (n_blocks, type_size)."""
    shape = _N_BLOCKS[kind.block_size], kind.block_size
    values = np.random.default_rng(0).standard_normal(shape, np.float32)
    return quantize(values * np.float32(SIZE), kind).reshape(len(values), -1)
