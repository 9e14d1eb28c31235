"""Vectors and matrices under GGUF's names and in GGUF's layouts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamacy.formats.derived_tensor import DerivedTensor
from llamacy.formats.model_file import SAMPLE_BYTES
from llamacy.formats.safetensors.folder import Floats
from llamacy.ggml.types import GGMLType

Array = NDArray[Any]


class Vector:
    """A vector, or a small matrix, in float32.

    GGUF files store all vectors in float32, and also routers and the biases of experts.

    The attributes are those of `llamacy.formats.gguf.file.Tensor`.

    Parameters
    ----------
    name : str
        Name in GGUF.
    shape : tuple of int
        Sizes, slowest first.
    values : callable
        Returns the values, as many as `shape` has.
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
        """Return the first bytes, for a fingerprint."""
        return self.data[:SAMPLE_BYTES].tobytes()

    def dequantize(self) -> NDArray[np.float32]:
        """Return the values: float32, of `shape`."""
        return np.ascontiguousarray(self._values(), np.float32).reshape(self.shape)

    def release(self) -> None:
        """Do nothing: the values are computed on each access and not kept."""


class Matrix(DerivedTensor):
    """A matrix with its rows in GGUF's order, in the same type.

    The attributes are those of `llamacy.formats.gguf.file.Tensor`.

    Parameters
    ----------
    name : str
        Name in GGUF.
    source : Tensor or DerivedTensor
        The matrix in Hugging Face's file.
    reorder : callable, optional
        Reorders rows: (n_out, …) to the same shape. None leaves their order.
    n_rows : int, optional
        Rows that `reorder` returns, if they are not all.
    """

    def __init__(
        self,
        name: str,
        source: Floats,
        reorder: Callable[[Array], Array] | None,
        n_rows: int | None = None,
    ) -> None:
        n_out, *n_in = source.shape
        super().__init__(name, source.type, (n_rows or n_out, *n_in), [source])
        self._source = source
        self._reorder = reorder

    @property
    def data(self) -> NDArray[np.uint8]:
        """The values, row after row: uint8, (n_bytes,); a copy if the order changes.

        Raises
        ------
        ClosedError
            The file was closed.
        """
        data = self._source.data
        if self._reorder is None:
            return data
        return self._reorder(data.reshape(self._source.shape[0], -1)).reshape(-1)

    def sample(self) -> bytes:
        """Return the source's first bytes, for a fingerprint."""
        return self._source.sample()
