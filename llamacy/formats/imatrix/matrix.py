"""An importance matrix: how large the inputs of a model's matrices are on a text."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import FormatError

DEFAULT_CHUNK: Final = 512
"""Tokens of a chunk, unless a file says another number."""

MOST: Final = 2**31 - 1
"""The most chunks, tokens of a chunk and calls that a file may name: int32."""

MAX_SUM: Final = 1e25
"""The largest sum that a file may have; none of them overflows when they are added."""

# Matrices that a model reads in parts, and a part's name: all have the same inputs.
_FUSED: Final = tuple(
    (re.compile(rf"(blk\.[0-9]+\.){re.escape(whole)}\.weight"), f"{{}}{part}.weight")
    for whole, part in (
        ("attn_qkv", "attn_q"),
        ("ffn_gate_up_exps", "ffn_gate_exps"),
        ("ssm_in", "ssm_z"),
        ("shortconv.in_proj", "shortconv.in_b"),
    )
)
# One expert's matrix, in files of early 2024.
_ALONE: Final = re.compile(
    r"(blk\.[0-9]+\.ffn_(?:gate|up|down))\.(0|[1-9][0-9]{0,5})\.weight"
)


class InputSums(NamedTuple):
    """The inputs of one matrix, or of each expert's, added up.

    Attributes
    ----------
    sums : float32, (n_counts, n)
        Sums of the squares of each column's inputs.
    counts : int64, (n_counts,)
        How many rows of input were added up: one number, or one an expert.
    """

    sums: NDArray[np.float32]
    counts: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ImportanceMatrix:
    """How large the inputs of a model's matrices are, on average over a text.

    An error in a weight matters as much as the input that it is multiplied with.
    `llamacy.quantize` weighs errors by it.

    Attributes
    ----------
    entries : dict of InputSums
        By the names of the matrices, in alphabetical order.
    datasets : tuple of str
        Names of the texts.
    n_chunks : int
        Chunks of text that were read.
    chunk_size : int
        Tokens of a chunk.
    path : str
        The file that it was read from; empty if it was not.
    """

    entries: Mapping[str, InputSums]
    datasets: tuple[str, ...] = ()
    n_chunks: int = 0
    chunk_size: int = DEFAULT_CHUNK
    path: str = ""

    def __repr__(self) -> str:
        return (
            f"<llamacy.ImportanceMatrix: {len(self.entries)} matrices, "
            f"{self.n_chunks} chunks of {self.chunk_size} tokens>"
        )

    @property
    def n_unused_experts(self) -> int:
        """Experts that no token went through, so that nothing is known of them."""
        return sum(int((each.counts == 0).sum()) for each in self.entries.values())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ImportanceMatrix:
        """Read a file, in either of llama.cpp's forms.

        Parameters
        ----------
        path : str or os.PathLike
            The file.

        Raises
        ------
        ArgumentError
            `path` is not a path.
        FormatError
            The file is something else, or it is broken.
        ModelFileError
            The file cannot be read.

        Examples
        --------
        >>> model = llamacy.load("demo")
        >>> matrix = llamacy.imatrix(model, "Once upon a time, " * 30, n_ctx=64)
        >>> matrix.save("demo.imatrix.gguf")
        >>> llamacy.ImportanceMatrix.load("demo.imatrix.gguf").chunk_size
        64
        """
        from llamacy.formats.imatrix import read_imatrix  # which knows both forms

        return read_imatrix(path, argument="path")

    def save(self, path: str | os.PathLike[str], *, format: str | None = None) -> None:
        """Write the matrix to a file.

        Parameters
        ----------
        path : str or os.PathLike
            The file, which is replaced once the new one is complete.
        format : {"gguf", "dat"}, optional
            llama.cpp's form of today, or that of before 2025, which older programs
            read; by default the file name's ending says it, and ``"gguf"`` if it is
            another one.

        Raises
        ------
        ArgumentError
            There is no such format.
        ModelFileError
            The file cannot be written.

        Examples
        --------
        >>> model = llamacy.load("demo")
        >>> matrix = llamacy.imatrix(model, "Once upon a time, " * 30, n_ctx=64)
        >>> matrix.save("demo.imatrix.gguf")
        """
        from llamacy.formats.imatrix import save  # which knows both forms

        save(self, path, format)

    def importance(
        self, name: str, shape: tuple[int, ...]
    ) -> NDArray[np.float32] | None:
        """Return how much an error in each column of a matrix matters.

        Parameters
        ----------
        name : str
            The matrix's name. An entry of another name is found where both name the
            same inputs, as of a fused matrix or of one expert alone.
        shape : tuple of int
            Its sizes: (n_out, n_in), or (n_expert, n_out, n_in).

        Returns
        -------
        float32, (n_expert or 1, n_in), or None
            Mean squares of the inputs; 1 for experts that no token went through. None
            if nothing is known of the matrix.

        Raises
        ------
        FormatError
            It is of a model with other sizes.
        """
        n_matrices = int(np.prod(shape[:-2], dtype=np.int64))
        found = self._find(name)
        if found is None:
            return None
        if found.sums.size != n_matrices * shape[-1]:
            raise FormatError(
                self.path or "importance matrix",
                f"sums of {name}",
                f"{n_matrices} x {shape[-1]}, the model's sizes",
                f"{found.sums.size} numbers",
            )
        counts = found.counts[:, None].astype(np.float32)
        with np.errstate(divide="ignore", invalid="ignore"):
            means = np.where(counts > 0, found.sums / counts, np.float32(1))
        return means.reshape(n_matrices, shape[-1])

    def _find(self, name: str) -> InputSums | None:
        if name in self.entries:
            return self.entries[name]
        for fused, part in _FUSED:
            if match := fused.fullmatch(name):
                return self.entries.get(part.format(match[1]))
        if match := _ALONE.fullmatch(name):
            whole, expert = self.entries.get(f"{match[1]}_exps.weight"), int(match[2])
            if whole is not None and expert < len(whole.counts):
                one = slice(expert, expert + 1)
                return InputSums(whole.sums[one], whole.counts[one])
        return None

    def named_as(self, names: Collection[str]) -> ImportanceMatrix:
        """Return the same with entries for these matrices of a file, fused ones too."""
        entries = dict(self.entries)
        for fused, part in _FUSED:
            for name in names:
                match = fused.fullmatch(name)
                found = match and self.entries.get(part.format(match[1]))
                if found:
                    entries[name] = found
        return replace(self, entries=dict(sorted(entries.items())))

    def plus(self, other: ImportanceMatrix) -> ImportanceMatrix:
        """Return what both have collected together.

        Raises
        ------
        FormatError
            They are of models with other sizes.
        """
        entries = dict(self.entries)
        for name, added in other.entries.items():
            entries[name] = _sum(name, entries.get(name), added, other.path)
        return replace(
            self,
            entries=dict(sorted(entries.items())),
            datasets=(*self.datasets, *other.datasets),
            n_chunks=min(self.n_chunks + other.n_chunks, MOST),
        )


def _sum(name: str, one: InputSums | None, other: InputSums, path: str) -> InputSums:
    if one is None:
        return other
    if one.sums.size != other.sums.size:
        wanted = f"{one.sums.size} numbers, as the others have"
        raise FormatError(
            path or "importance matrix", f"sums of {name}", wanted, other.sums.size
        )
    n = max(len(one.counts), len(other.counts))
    shape = n, one.sums.size // n
    sums = one.sums.reshape(shape) + other.sums.reshape(shape)
    counts = np.broadcast_to(one.counts, n) + np.broadcast_to(other.counts, n)
    return InputSums(sums, counts)
