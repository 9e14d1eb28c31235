"""Tensors made of a file's own when they are read: in another form, order or type."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from llamacy.formats.model_file import SAMPLE_BYTES, ModelTensor
from llamacy.ggml.types import GGMLType, dequantize

_FEW: Final = 32  # sources looked at for a fingerprint


class Releasable(Protocol):
    """What lies in a mapped file."""

    def release(self) -> None:
        """Take its pages out of memory."""


class DerivedTensor(ABC):
    """A tensor of `name`, `type` and `shape` that is computed from others.

    The attributes are those of :class:`~llamacy.formats.gguf.file.Tensor`.
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
        ClosedError : the file was closed.
        """

    @abstractmethod
    def sample(self) -> bytes:
        """Return some bytes that another model would not have."""

    def dequantize(self) -> NDArray[np.float32]:
        """Turn the blocks into weights: float32 of `shape`, a fresh array."""
        return dequantize(self.data, self.type, self.shape)

    def release(self) -> None:
        """Take the file's pages out of memory; they are read again when needed."""
        for source in self._sources:
            source.release()


class StackedTensor(DerivedTensor):
    """Tensors of one shape and type as one: matrices of experts, one to each.

    Parameters
    ----------
    name : of them all.
    parts : the first one first.
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
            part.release()  # it was copied, and is not to be in memory twice
        return result

    def sample(self) -> bytes:
        """Return the beginning of some, for a fingerprint."""
        few = self._parts[:_FEW]
        return b"".join(one.sample()[: SAMPLE_BYTES // len(few)] for one in few)
