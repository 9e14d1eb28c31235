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
from llamacy.printable import shown

MAX_RANK: Final = 1 << 16
EMBEDDING: Final = "token_embd.weight"
TYPES: Final = "token_types.weight"
OUTPUT: Final = "output.weight"

# The score of a shared expert: a vector in the model, a matrix of one row elsewhere.
_VECTOR: Final = "ffn_gate_inp_shexp.weight"


class Pair(NamedTuple):
    """The update that an adapter adds to one matrix: `scale * b @ a`.

    Attributes
    ----------
    a : float32, (rank, n_in)
        The matrix applied first; for the embedding, its rows: (n_vocab, rank); for
        experts, (n_expert, rank, n_in).
    b : float32, (n_out, rank)
        The matrix applied second; for the embedding, (n_embd, rank); for experts,
        (n_expert, n_out, rank).
    scale : float
        alpha / rank, or another factor that the file states.
    magnitude : float32, (n_out,) or None
        The norms that rows of the matrix have with the update (DoRA); for the
        embedding, (n_embd,), those of its columns. None: rows keep the norms they get.
    """

    a: NDArray[np.float32]
    b: NDArray[np.float32]
    scale: float
    magnitude: NDArray[np.float32] | None = None


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
    invocation : tuple of int
        Tokens from whose last occurrence on it acts (aLoRA); empty: on all rows.
    scaled : frozenset of str
        Matrices of experts whose scales in the model multiply their pairs, too.
    """

    path: Path
    architecture: str
    pairs: Mapping[str, Pair]
    saved: Mapping[str, Saved] = field(default_factory=dict)
    invocation: tuple[int, ...] = ()
    scaled: frozenset[str] = frozenset()


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
        `a` or `b` is not a matrix, or those of experts, they differ in rank or in the
        number of experts, or one has NaN or infinity.
    """
    n_dims = 3 if is_of_experts(name) else 2
    for letter, matrix in (("a", a), ("b", b)):
        field = f"tensor {shown(name)}.lora_{letter}"
        if matrix.ndim != n_dims:
            wanted = "two sizes" if n_dims == 2 else "three sizes, experts first"
            raise FormatError(path, f"{field}: shape", wanted, matrix.shape)
        if not np.isfinite(matrix).all():
            raise FormatError(path, field, "finite numbers", "NaN or infinity")
    rank: int = b.shape[-1]
    found = a.shape[1] if name == EMBEDDING else a.shape[-2]
    if found != rank or not 0 < rank <= MAX_RANK or a.shape[:-2] != b.shape[:-2]:
        wanted = f"a rank of {rank}, like lora_b, at most {MAX_RANK}"
        if n_dims == 3:
            wanted = (
                f"({b.shape[0]}, {rank}, …), like lora_b, of rank {MAX_RANK} at most"
            )
        field = f"tensor {shown(name)}.lora_a: shape"
        raise FormatError(path, field, wanted, a.shape)
    return rank


def is_of_experts(name: str) -> bool:
    """Whether a name is that of the matrices of a layer's experts, or of its heads."""
    return name.endswith(("_exps.weight", ".attn_k_b.weight", ".attn_v_b.weight"))


def check_fits(
    file: LoraFile, name: str, pair: Pair, shape: tuple[int, ...] | None
) -> None:
    """Check a pair's sizes against those of the model's matrix, or of its experts.

    Raises
    ------
    FormatError
        The model has no such matrix, as `shape` is None, or one of other sizes.
    """
    if shape is not None and len(shape) == 1 and name.endswith(_VECTOR):
        shape = (1, *shape)  # the one row of a matrix
    if shape is None or len(shape) != (3 if is_of_experts(name) else 2):
        wanted = "the name of one of the model's matrices"
        raise FormatError(file.path, f"tensor {shown(name)}.lora_a", wanted, "another")
    *n_expert, n_out, n_in = shape
    a, b = pair.a.shape, pair.b.shape
    if name == EMBEDDING:
        n_vocab, n_embd = shape
        sizes = [("a", n_vocab, a[0]), ("b", n_embd, b[0])]
    else:
        sizes = [("a", n_in, a[-1]), ("b", n_out, b[-2])]
    if n_expert:
        sizes.append(("a", n_expert[0], a[0]))
    for letter, size, found in sizes:
        if found != size:
            field = f"tensor {shown(name)}.lora_{letter}: shape"
            wanted = f"{size}, as the model's matrix"
            raise FormatError(file.path, field, wanted, found)
    if pair.magnitude is not None and pair.magnitude.shape != b[:1]:
        field = f"tensor {shown(name)}.lora_magnitude_vector: shape"
        raise FormatError(file.path, field, b[:1], pair.magnitude.shape)
