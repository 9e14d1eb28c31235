"""Tensors of GGUF that rearrange another, above all those of a layer's experts.

Experts with tensors of their own are stacked by
`llamacy.formats.derived_tensor.StackedTensor`.

The attributes of each class are those of `llamacy.formats.gguf.file.Tensor`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llamacy.formats.derived_tensor import DerivedTensor
from llamacy.formats.model_file import SAMPLE_BYTES
from llamacy.formats.safetensors.folder import ByteTensor, Floats
from llamacy.ggml.types import GGMLType

Select: TypeAlias = Callable[[NDArray[Any]], NDArray[Any]]

# Weights are moved as integers of their size in bytes, since NumPy has no bfloat16.
_UNITS: Final = {2: np.uint16, 4: np.uint32}


class Selection(DerivedTensor):
    """Some rows or columns of a tensor, in another order.

    Parameters
    ----------
    name : str
        Name of the result.
    shape : tuple of int
        Shape of the result: (n_expert, n_out, n_in), or (n_out, n_in).
    source : Tensor or DerivedTensor
        Floats of as many dimensions.
    select : callable
        Turns an array of the source's shape into one of `shape`, by indexing and
        transposing.
    """

    def __init__(
        self, name: str, shape: tuple[int, ...], source: Floats, select: Select
    ) -> None:
        super().__init__(name, source.type, shape, [source])
        self._source = source
        self._select = select

    @property
    def data(self) -> NDArray[np.uint8]:
        """The values, row after row: uint8, (n_bytes,); a copy if they move.

        Raises
        ------
        ClosedError
            The file was closed.
        """
        unit = _UNITS[self.type.type_size]
        # not `view`, which requires alignment: a file's tensor may begin at any byte
        values = np.ndarray(self._source.shape, unit, self._source.data)
        selected = np.ascontiguousarray(self._select(values))
        return selected.reshape(-1).view(np.uint8)

    def sample(self) -> bytes:
        """Return the first bytes of the source, for a fingerprint."""
        return self._source.sample()


class Mxfp4(DerivedTensor):
    """Some rows of all experts in MXFP4, rearranged to ggml's blocks.

    ggml stores each scale before its block. A block of 32 weights has the same values
    in both formats, but byte j holds weights 2 j and 2 j + 1 in OpenAI's, j and j + 16
    in ggml's.

    Parameters
    ----------
    name : str
        Name of the result.
    blocks : ByteTensor
        (n_expert, n_rows, n_blocks, 16), the first weight of a byte in the lower bits.
    scales : ByteTensor
        (n_expert, n_rows, n_blocks), biased exponents of two.
    rows : slice
        The rows to use.
    """

    def __init__(
        self, name: str, blocks: ByteTensor, scales: ByteTensor, rows: slice
    ) -> None:
        n_expert, n_rows, n_blocks = scales.shape
        n_rows = len(range(n_rows)[rows])
        shape = (n_expert, n_rows, n_blocks * GGMLType.MXFP4.block_size)
        super().__init__(name, GGMLType.MXFP4, shape, [blocks, scales])
        self._blocks = blocks
        self._scales = scales
        self._rows = rows

    @property
    def data(self) -> NDArray[np.uint8]:
        """The blocks, expert after expert: uint8, (n_bytes,), a fresh array.

        Raises
        ------
        ClosedError
            The file was closed.
        """
        n_expert, n_rows, _ = self.shape
        result = np.empty((n_expert, n_rows, self._scales.shape[2], 17), np.uint8)
        blocks, scales = self._blocks.data, self._scales.data
        low = np.uint8(15)
        for expert in range(n_expert):  # one at a time, to keep temporaries small
            result[expert, ..., 0] = scales[expert, self._rows]
            pairs = blocks[expert, self._rows]
            first, second = pairs & low, pairs >> np.uint8(4)  # weights 2 j, 2 j + 1
            packed = result[expert, ..., 1:]
            packed[..., ::2] = first[..., :8] | first[..., 8:] << np.uint8(4)
            packed[..., 1::2] = second[..., :8] | second[..., 8:] << np.uint8(4)
        return result.reshape(-1)

    def sample(self) -> bytes:
        """Return the first expert's first blocks, for a fingerprint."""
        n = max(1, SAMPLE_BYTES // self._blocks.data[0, 0].nbytes)
        return self._blocks.data[0, self._rows][:n].tobytes()
