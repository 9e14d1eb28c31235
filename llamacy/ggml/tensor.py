"""A tensor of ggml's blocks, wherever it comes from: a file, or rows of another."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from llamacy.ggml.types import GGMLType


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
