"""A model of the old formats, in one file or in several.

Models of 13 billion weights and more came in as many files as Meta's checkpoints, named
`….bin`, `….bin.1` and so on. Each file has the whole vocabulary, all vectors, and its
share of every matrix.
"""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from llamacy.errors import FormatError, ModelFileError
from llamacy.formats.legacy.part import Hparams, Part
from llamacy.formats.legacy.tensor import EMBEDDING, LegacyTensor
from llamacy.formats.legacy.version import MAGICS, Version

MAX_PARTS: Final = 64  # LLaMA 65B has 8


class LegacyFile:
    """An open model.

    Parameters
    ----------
    path : str or os.PathLike
        Its only file, or the first of several.

    Attributes
    ----------
    paths : tuple of Path
        All files.
    version : Version
        Their format.
    hparams : Hparams
        The hyperparameters.
    tokens : list of bytes
        The vocabulary.
    scores : list of float
        Scores of the tokens; empty if the format has none.
    tensors : dict of str to LegacyTensor
        Tensors by name, in the file's order.

    Raises
    ------
    ModelFileError
        A file cannot be read, or one of several is missing.
    FormatError
        A file is of another kind, broken, or part of another model than the first.
    UnsupportedError
        A file's version is unknown, or a tensor's type is not supported.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        with ExitStack() as opened:
            first = _open(Path(path), opened)
            parts = [first]
            for i in range(1, _count_parts(first)):
                parts.append(_open(_later_part(Path(path), i), opened))
                _check_same_model(first, parts[i])
            opened.pop_all()
        self._parts = parts
        self.paths: tuple[Path, ...] = tuple(part.path for part in parts)
        self.version: Version = first.version
        self.hparams: Hparams = first.hparams
        self.tokens: list[bytes] = first.tokens
        self.scores: list[float] = first.scores
        self.tensors: dict[str, LegacyTensor] = {
            name: LegacyTensor(name, parts) for name in first.tensors
        }

    def close(self) -> None:
        """Unmap the files."""
        for part in self._parts:
            part.file.close()

    def __enter__(self) -> LegacyFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def is_legacy(path: str | os.PathLike[str]) -> bool:
    """Whether a file has an old format's magic; False if it cannot be read."""
    try:
        if not os.path.isfile(path):  # opening a pipe could block forever
            return False
        with open(path, "rb") as file:
            return file.read(4) in MAGICS
    except (OSError, ValueError):
        return False


def _open(path: Path, opened: ExitStack) -> Part:
    part = Part(path)
    opened.callback(part.file.close)
    return part


def _count_parts(first: Part) -> int:
    """Return the number of parts, from the first one's share of the embedding."""
    tensor = first.tensors.get(EMBEDDING)
    if tensor is None or len(tensor.shape) != 2:
        first.fail(f"tensor {EMBEDDING}", "a matrix", "no such tensor")
    n_embd, width = first.hparams.n_embd, tensor.shape[1]
    if n_embd % width or n_embd // width > MAX_PARTS:
        wanted = (
            f"rows of {n_embd} weights, or an equal share for 2 to {MAX_PARTS} files"
        )
        first.fail(f"tensor {EMBEDDING}: shape", wanted, width)
    return n_embd // width


def _later_part(path: Path, number: int) -> Path:
    later = path.with_name(f"{path.name}.{number}")
    if not later.exists():
        reason = "a part of a model is missing (name the first file, without a number)"
        raise ModelFileError(errno.ENOENT, reason, str(later))
    return later


def _check_same_model(first: Part, other: Part) -> None:
    for field in ("version", "hparams", "tokens", "scores"):
        if getattr(other, field) != getattr(first, field):
            wanted = f"the same as in {first.path.name}"
            raise FormatError(other.path, field, wanted, "another")
    for name in first.tensors.keys() | other.tensors.keys():
        mine, its = first.tensors.get(name), other.tensors.get(name)
        if mine is None or its is None or mine[1:3] != its[1:3]:
            wanted = f"the same type and shape as in {first.path.name}"
            found = "another type or shape, or a tensor that one of the files lacks"
            raise FormatError(other.path, f"tensor {name[:80]!r}", wanted, found)
