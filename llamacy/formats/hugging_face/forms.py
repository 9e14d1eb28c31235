"""A tensor in the form of GGUF files: a vector, or a matrix."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamacy.formats.derived_tensor import DerivedTensor
from llamacy.formats.gguf.file import Tensor
from llamacy.formats.model_file import SAMPLE_BYTES
from llamacy.ggml.types import GGMLType

Array = NDArray[Any]


class Vector:
    """A vector under GGUF's name: float32, like vectors in all GGUF files.

    A few small matrices are float32 too: those of routers, and biases of experts.

    The attributes are those of `llamacy.formats.gguf.file.Tensor`.

    Parameters
    ----------
    name : str
        GGUF's name.
    shape : tuple of int
        The result's shape.
    values : callable
        Computes the values: float32, as many as `shape` holds.
    """

    type = GGMLType.F32

    def __init__(
        self, name: str, shape: tuple[int, ...], values: Callable[[], Array]
    ) -> None:
        self.name = name
        self.shape = shape
        self.n_bytes = math.prod(shape) * self.type.type_size
        self._values = values

    @property
    def data(self) -> NDArray[np.uint8]:
        """The values' bytes: uint8, (n_bytes,), a fresh array."""
        return self.dequantize().reshape(-1).view(np.uint8)

    def sample(self) -> bytes:
        """Return its first bytes, for a fingerprint."""
        return self.data[:SAMPLE_BYTES].tobytes()

    def dequantize(self) -> NDArray[np.float32]:
        """Return the values: float32, of `shape`."""
        return np.ascontiguousarray(self._values(), np.float32).reshape(self.shape)

    def release(self) -> None:
        """Do nothing: values are computed anew each time, and take no memory."""


class Matrix(DerivedTensor):
    """A matrix under GGUF's name, its rows in GGUF's order; its type stays.

    The attributes are those of `llamacy.formats.gguf.file.Tensor`.

    Parameters
    ----------
    name : str
        GGUF's name.
    source : Tensor
        The matrix in Hugging Face's file.
    change : callable or None
        Puts the rows in another order: (n_out, …) to the same shape.
    """

    def __init__(
        self, name: str, source: Tensor, change: Callable[[Array], Array] | None
    ) -> None:
        super().__init__(name, source.type, source.shape, [source])
        self._source = source
        self._change = change

    @property
    def data(self) -> NDArray[np.uint8]:
        """The values, row after row: uint8, (n_bytes,); a copy if the order changes.

        Raises
        ------
        ClosedError
            The file was closed.
        """
        data = self._source.data
        if self._change is None:
            return data
        return self._change(data.reshape(self.shape[0], -1)).reshape(-1)

    def sample(self) -> bytes:
        """Return the file's first bytes of it, for a fingerprint."""
        return self._source.sample()
