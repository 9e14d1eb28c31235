"""Weights as the plan reads them: packed matrices, and vectors in float32.

Biases of experts, one row an expert, are vectors too: they stay in float32. A
`MappedTensor` stays in its file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import OutOfMemoryError
from llamacy.ggml.tensor import MappedTensor, Tensor
from llamacy.kernels.forking import usable_threads
from llamacy.kernels.packing.matrices import (
    MappedMatrix,
    PackedExperts,
    PackedMatrix,
    pack,
    pack_experts,
    packed_bytes,
)
from llamacy.ops.memory import large_pages

Weight: TypeAlias = PackedMatrix | PackedExperts | MappedMatrix | NDArray[np.float32]


def pack_weights(
    tensors: Mapping[str, Tensor],
    *,
    n_threads: int = 1,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Weight]:
    """Copy `tensors` into memory of their own, tensor by tensor.

    The file's pages are given back as each tensor is done, so that no more than one
    tensor is in memory twice.

    Parameters
    ----------
    tensors : dict of Tensor
        By name.
    n_threads : int
        Threads that pack.
    progress : callable or None
        Called with the share done, 0.0 to 1.0, after each tensor.

    Returns
    -------
    dict of Weight
        By name.

    Raises
    ------
    OutOfMemoryError
        The packed weights do not fit.
    """
    sizes = _packed_sizes(tensors)
    arena, done, total = _arena(sum(sizes.values())), 0, sum(sizes.values())
    n_threads = usable_threads(n_threads)
    weights: dict[str, Weight] = {}
    for name, tensor in tensors.items():
        if isinstance(tensor, MappedTensor):
            n, k = tensor.shape
            weights[name] = MappedMatrix(tensor.type.name, n, k, tensor.data)
            continue
        if name not in sizes:
            weights[name] = np.ascontiguousarray(tensor.dequantize(), np.float32)
            continue
        out = arena[done : done + sizes[name]]
        weights[name] = _pack(tensor, out, n_threads)
        tensor.release()
        done += sizes[name]
        if progress is not None:
            progress(done / total)
    return weights


def pack_floats(matrix: NDArray[np.float32]) -> PackedMatrix | PackedExperts:
    """Pack a matrix of float32, (n_out, n_in), or experts', as they are.

    Raises
    ------
    OutOfMemoryError
        They do not fit.
    """
    *n_expert, n, k = matrix.shape
    n_matrices = math.prod(n_expert)
    out = _arena(n_matrices * packed_bytes("F32", n, k))
    data = np.ascontiguousarray(matrix, "<f4").view(np.uint8).reshape(-1)
    if not n_expert:
        return pack("F32", data, n, k, out)
    return pack_experts("F32", data, n_matrices, n, k, out)


def weight_bytes(tensors: Mapping[str, Tensor]) -> int:
    """Bytes of memory that `pack_weights` takes for `tensors`; reads none of them."""
    sizes = _packed_sizes(tensors)
    vectors = [
        math.prod(tensor.shape)
        for name, tensor in tensors.items()
        if name not in sizes and not isinstance(tensor, MappedTensor)
    ]
    return sum(sizes.values()) + 4 * sum(vectors)


def mapped_bytes(tensors: Mapping[str, Tensor]) -> int:
    """Bytes of `tensors` that stay in their file; reads none of them."""
    return sum(
        math.prod(tensor.shape) // tensor.type.block_size * tensor.type.type_size
        for tensor in tensors.values()
        if isinstance(tensor, MappedTensor)
    )


def _packed_sizes(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """Bytes of each matrix, packed."""
    return {
        name: _packed_bytes(tensor)
        for name, tensor in tensors.items()
        if len(tensor.shape) > 1
        and not name.endswith("bias")
        and not isinstance(tensor, MappedTensor)
    }


def _packed_bytes(tensor: Tensor) -> int:
    *n_expert, n, k = tensor.shape
    return math.prod(n_expert) * packed_bytes(tensor.type.name, n, k)


def _pack(
    tensor: Tensor, out: NDArray[np.uint8], n_threads: int
) -> PackedMatrix | PackedExperts:
    *n_expert, n, k = tensor.shape
    type_name, data = tensor.type.name, tensor.data
    if not n_expert:
        return pack(type_name, data, n, k, out, n_threads)
    return pack_experts(type_name, data, math.prod(n_expert), n, k, out, n_threads)


def _arena(nbytes: int) -> NDArray[np.uint8]:
    try:
        return large_pages(nbytes)
    except MemoryError as error:
        raise OutOfMemoryError(f"no memory for {nbytes} bytes of weights") from error
