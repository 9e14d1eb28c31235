"""Parts of each head in one matrix, as tensors of a matrix a head.

Older files of DeepSeek V2 and V3 have in `attn_kv_b` what newer ones have in two: of
each head the rows that make its own keys of a latent, and those for its values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamacy.ggml.tensor import Tensor
from llamacy.ggml.types import GGMLType


@dataclass(frozen=True, slots=True)
class HeadRows:
    """Some rows of each head.

    Attributes
    ----------
    whole : Tensor
        All rows, (n_head * n_rows, n_in).
    n_head, first, n : int
        Heads, and the rows of each.
    """

    whole: Tensor
    n_head: int
    first: int
    n: int

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_head, n, n_in)."""
        return self.n_head, self.n, self.whole.shape[1]

    @property
    def type(self) -> Any:
        """The whole's type."""
        return self.whole.type

    @property
    def data(self) -> NDArray[np.uint8]:
        """The rows' bytes."""
        rows = self.whole.data.reshape(
            self.n_head, self.whole.shape[0] // self.n_head, -1
        )
        return rows[:, self.first : self.first + self.n].reshape(-1)

    def dequantize(self) -> NDArray[np.float32]:
        """Return the rows' values."""
        rows = self.whole.dequantize().reshape(self.n_head, -1, self.whole.shape[1])
        return rows[:, self.first : self.first + self.n]

    def release(self) -> None:
        """Release the whole; rows that are read later come from the file again."""
        self.whole.release()


@dataclass(frozen=True, slots=True)
class TurnedRows:
    """Rows of each head as columns, in float32: blocks of numbers are rows' own."""

    rows: HeadRows

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_head, n_in, n)."""
        n_head, n, n_in = self.rows.shape
        return n_head, n_in, n

    @property
    def type(self) -> Any:
        """float32."""
        return GGMLType.F32

    @property
    def data(self) -> NDArray[np.uint8]:
        """The values' bytes."""
        return self.dequantize().reshape(-1).view(np.uint8)

    def dequantize(self) -> NDArray[np.float32]:
        """Return the values."""
        return np.ascontiguousarray(self.rows.dequantize().swapaxes(1, 2))

    def release(self) -> None:
        """Release the whole."""
        self.rows.release()
