"""LoRA adapters, in whichever format: pairs of small matrices by names of large ones.

A file of another format than GGUF is presented as its GGUF file would be.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import FormatError

MAX_RANK: Final = 1 << 16
EMBEDDING: Final = "token_embd.weight"


class Pair(NamedTuple):
    """What an adapter adds to one matrix: `scale * b @ a`.

    Attributes
    ----------
    a : float32, (rank, n_in); of the embedding its rows, (n_vocab, rank).
    b : float32, (n_out, rank); of the embedding (n_embd, rank).
    scale : alpha / rank, or what else the file says.
    """

    a: NDArray[np.float32]
    b: NDArray[np.float32]
    scale: float


@dataclass(frozen=True)
class LoraFile:
    """An adapter in memory.

    Attributes
    ----------
    path : of its file or folder.
    architecture : family of the models it is for, in GGUF's words.
    pairs : by the names of the matrices, as GGUF files have them.
    """

    path: Path
    architecture: str
    pairs: Mapping[str, Pair]


def check_pair(
    path: str | os.PathLike[str],
    name: str,
    a: NDArray[np.float32],
    b: NDArray[np.float32],
) -> int:
    """Find the rank of what may be a pair for the matrix `name`.

    Raises
    ------
    FormatError : they are no matrices, differ in rank, or have values that are no
        numbers.
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
        wanted = f"a rank of {rank}, as that of lora_b, at most {MAX_RANK}"
        raise FormatError(path, f"tensor {name}.lora_a: shape", wanted, a.shape)
    return rank
