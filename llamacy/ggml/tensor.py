"""A tensor of ggml's blocks, wherever it comes from: a file, or rows of another."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from llamacy.ggml.types import GGMLType, dequantize


class Tensor(Protocol):
    """A weight as a file holds it, which architectures check and executors take in."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes, slowest first: (n,), (n_out, n_in) or (n_expert, n_out, n_in)."""

    @property
    def type(self) -> GGMLType:
        """The type of its blocks."""

    @property
    def data(self) -> NDArray[np.uint8]:
        """Its blocks, row after row: uint8, (n_bytes,)."""

    def dequantize(self) -> NDArray[np.float32]:
        """Return its weights: float32, of `shape`."""

    def release(self) -> None:
        """Let the system drop the file's pages from memory."""


class MappedTensor:
    """A matrix that stays in its mapped file, for looking up rows.

    It may be larger than memory: executors neither copy nor dequantise it as a whole.

    Parameters
    ----------
    tensor : Tensor
        The matrix, (n, k).
    """

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, k)."""
        return self._tensor.shape

    @property
    def type(self) -> GGMLType:
        """The type of its blocks."""
        return self._tensor.type

    @property
    def data(self) -> NDArray[np.uint8]:
        """Its blocks: uint8, (n_bytes,), which keep the file mapped."""
        return self._tensor.data

    def dequantize(self) -> NDArray[np.float32]:
        """Return all of its weights: float32, (n, k)."""
        return self._tensor.dequantize()

    def release(self) -> None:
        """Let the system drop the file's pages from memory."""
        self._tensor.release()


class MappedRows:
    """The rows of a `MappedTensor`, dequantised as they are taken.

    Parameters
    ----------
    tensor : MappedTensor
        The matrix, (n, k), whose file may be closed afterwards.
    """

    def __init__(self, tensor: MappedTensor) -> None:
        self.shape, self._type = tensor.shape, tensor.type
        self._rows = tensor.data.reshape(self.shape[0], -1)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, numbers: NDArray[Any]) -> NDArray[np.float32]:
        """Return the rows of these numbers: float32, (n_numbers, k)."""
        blocks = self._rows[numbers].reshape(-1)
        return dequantize(blocks, self._type, (len(numbers), self.shape[1]))
