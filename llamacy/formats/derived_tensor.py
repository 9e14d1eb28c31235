"""Tensors derived from a file's own on access: in another layout, order or type."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from llamacy.formats.model_file import SAMPLE_BYTES, ModelTensor
from llamacy.ggml.types import GGMLType, dequantize

_N_SAMPLED: Final = 32  # parts sampled for a fingerprint


class Releasable(Protocol):
    """A tensor in a mapped file."""

    def release(self) -> None:
        """Drop its pages from memory."""


class DerivedTensor(ABC):
    """A tensor that is computed from others.

    The attributes are those of `llamacy.formats.gguf.file.Tensor`.

    Parameters
    ----------
    name : str
        Name of the result.
    type : GGMLType
        Type of the result.
    shape : tuple of int
        Sizes of the result, slowest first.
    sources : Sequence of Releasable
        The tensors it is computed from.
    """

    def __init__(
        self,
        name: str,
        type: GGMLType,
        shape: tuple[int, ...],
        sources: Sequence[Releasable],
    ) -> None:
        self.name = name
        self.type = type
        self.shape = shape
        self.n_bytes = math.prod(shape) // type.block_size * type.type_size
        self._sources = sources

    @property
    @abstractmethod
    def data(self) -> NDArray[np.uint8]:
        """The blocks, row after row: uint8, (n_bytes,).

        Raises
        ------
        ClosedError
            The file was closed.
        """

    @abstractmethod
    def sample(self) -> bytes:
        """Return a few bytes that differ between models, for a fingerprint."""

    def dequantize(self) -> NDArray[np.float32]:
        """Return the weights: float32, of `shape`, a fresh array."""
        return dequantize(self.data, self.type, self.shape)

    def release(self) -> None:
        """Drop the sources' pages from memory; the next access reads them again."""
        for source in self._sources:
            source.release()


class StackedTensor(DerivedTensor):
    """Tensors of the same shape and type stacked into one, such as experts' matrices.

    Parameters
    ----------
    name : str
        Name of the stack.
    parts : Sequence of ModelTensor
        The tensors, in order.
    """

    def __init__(self, name: str, parts: Sequence[ModelTensor]) -> None:
        first = parts[0]
        super().__init__(name, first.type, (len(parts), *first.shape), parts)
        self._parts = parts

    @property
    def data(self) -> NDArray[np.uint8]:
        """The blocks, part after part: uint8, (n_bytes,), a fresh array."""
        result = np.empty(self.n_bytes, np.uint8)
        step = self.n_bytes // len(self._parts)
        for i, part in enumerate(self._parts):
            result[i * step : (i + 1) * step] = part.data
            part.release()  # copied: the mapping need not hold it as well
        return result

    def sample(self) -> bytes:
        """Return the first bytes of the first parts, for a fingerprint."""
        parts = self._parts[:_N_SAMPLED]
        return b"".join(part.sample()[: SAMPLE_BYTES // len(parts)] for part in parts)
