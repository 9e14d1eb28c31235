"""LoRA adapters of every format: pairs of small matrices by the names of large ones.

Adapters of other formats are presented as their GGUF files would be.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import FormatError
from llamacy.ggml.types import GGMLType, dequantize

MAX_RANK: Final = 1 << 16
EMBEDDING: Final = "token_embd.weight"
OUTPUT: Final = "output.weight"


class Pair(NamedTuple):
    """The update that an adapter adds to one matrix: `scale * b @ a`.

    Attributes
    ----------
    a : float32, (rank, n_in)
        The matrix applied first; for the embedding, its rows: (n_vocab, rank).
    b : float32, (n_out, rank)
        The matrix applied second; for the embedding, (n_embd, rank).
    scale : float
        alpha / rank, or another factor that the file states.
    """

    a: NDArray[np.float32]
    b: NDArray[np.float32]
    scale: float


@dataclass(frozen=True)
class Saved:
    """A tensor that takes the place of the model's own: a `llamacy.ggml.tensor.Tensor`.

    Attributes
    ----------
    type : GGMLType
        The type of its blocks.
    shape : tuple of int
        Sizes, slowest first.
    data : uint8, (n_bytes,)
        Its blocks.
    """

    type: GGMLType
    shape: tuple[int, ...]
    data: NDArray[np.uint8]

    def dequantize(self) -> NDArray[np.float32]:
        """Return its weights: float32, of `shape`."""
        return dequantize(self.data, self.type, self.shape)

    def release(self) -> None:
        """Do nothing: no file holds it."""


@dataclass(frozen=True)
class LoraFile:
    """An adapter in memory.

    Attributes
    ----------
    path : Path
        Its file or folder.
    architecture : str
        Family of the models it fits, by GGUF's name.
    pairs : Mapping of str to Pair
        Pairs by GGUF's names of the matrices.
    saved : Mapping of str to Saved
        Tensors, by GGUF's names, that were trained whole.
    """

    path: Path
    architecture: str
    pairs: Mapping[str, Pair]
    saved: Mapping[str, Saved] = field(default_factory=dict)


def check_pair(
    path: str | os.PathLike[str],
    name: str,
    a: NDArray[np.float32],
    b: NDArray[np.float32],
) -> int:
    """Check a pair for the matrix `name`, and return its rank.

    Raises
    ------
    FormatError
        `a` or `b` is not a matrix, they differ in rank, or one has NaN or infinity.
    """
    for letter, matrix in (("a", a), ("b", b)):
        field = f"tensor {name}.lora_{letter}"
        if matrix.ndim != 2:
            raise FormatError(path, f"{field}: shape", "two sizes", matrix.shape)
        if not np.isfinite(matrix).all():
            raise FormatError(path, field, "finite numbers", "NaN or infinity")
    rank: int = b.shape[1]
    found = a.shape[1] if name == EMBEDDING else a.shape[0]
    if found != rank or rank > MAX_RANK:
        wanted = f"a rank of {rank}, like lora_b, at most {MAX_RANK}"
        raise FormatError(path, f"tensor {name}.lora_a: shape", wanted, a.shape)
    return rank
