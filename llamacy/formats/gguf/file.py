"""GGUF models, in one file or several, mapped into memory.

>>> with open_gguf("model.gguf") as file:
...     file.metadata["general.architecture"]
...     file.tensors["output_norm.weight"].dequantize().shape
'llama'
(64,)
"""

from __future__ import annotations

import errno
import os
import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import FormatError, ModelFileError
from llamacy.formats.gguf.byte_order import BigEndianTensor
from llamacy.formats.gguf.header import Header, TensorInfo, read_header
from llamacy.formats.mapped_file import MappedFile
from llamacy.formats.model_file import SAMPLE_BYTES, ModelTensor, fingerprint
from llamacy.ggml.types import GGMLType, dequantize
from llamacy.printable import shown

_PART_NAME = re.compile(r"(.*)-([0-9]{5})-of-([0-9]{5})\.gguf", re.DOTALL)


class Tensor:
    """One tensor of a file; its blocks stay on disk until they are accessed.

    Attributes
    ----------
    name : str
        Name in the file, such as `"blk.0.attn_q.weight"`.
    type : GGMLType
        Type of its blocks.
    shape : tuple of int
        Sizes, slowest first: (n_out, n_in) for a matrix, (n,) for a vector.
    n_bytes : int
        Size of all its blocks, in bytes.
    """

    __slots__ = ("_file", "_offset", "n_bytes", "name", "shape", "type")

    def __init__(self, file: MappedFile, info: TensorInfo) -> None:
        self.name: str = info.name
        self.type: GGMLType = info.type
        self.shape: tuple[int, ...] = info.shape
        self.n_bytes: int = info.n_bytes
        self._file = file
        self._offset = info.offset

    @property
    def data(self) -> NDArray[np.uint8]:
        """The blocks, row after row: uint8, (n_bytes,), read-only, not copied.

        Raises
        ------
        ClosedError
            The file was closed.
        """
        return self._file.view(self._offset, self.n_bytes)

    def sample(self) -> bytes:
        """Return its first bytes, for the file's fingerprint."""
        return self.data[:SAMPLE_BYTES].tobytes()

    def dequantize(self) -> NDArray[np.float32]:
        """Return the weights: float32, of `shape`, a fresh array.

        Raises
        ------
        ClosedError
            The file was closed.
        """
        return dequantize(self.data, self.type, self.shape)

    def release(self) -> None:
        """Drop the tensor's pages from memory; the next access reads them again."""
        self._file.release(self._offset, self.n_bytes)

    def __repr__(self) -> str:
        return f"<Tensor {self.name} {self.type.name} {self.shape}>"


class GGUFFile:
    """An open model, as `open_gguf` returns it.

    Attributes
    ----------
    path : Path
        The file, or the first of several.
    paths : tuple of Path
        All files, in order.
    version : int
        Version of the format.
    metadata : dict of str to Any
        Keys and values: int, float, bool, str, list[str], or a read-only NumPy array of
        numbers. They remain readable after `close`.
    value_types : dict of str to int
        Type of each value, or of an array's items, as GGUF numbers them: 4 is uint32,
        6 float32, 8 a string.
    tensors : dict of str to Tensor
        Tensors by name, in the file's order.
    format : str
        Name and version of the format.
    """

    def __init__(self, parts: list[tuple[MappedFile, Header]]) -> None:
        files = [file for file, _ in parts]
        first = parts[0][1]
        self.path: Path = files[0].path
        self.paths: tuple[Path, ...] = tuple(file.path for file in files)
        self.version: int = first.version
        order = ", big-endian" if first.is_big_endian else ""
        self.format: str = f"GGUF version {first.version}{order}"
        self.metadata: dict[str, Any] = first.metadata
        self.value_types: dict[str, int] = first.value_types
        self.tensors: dict[str, ModelTensor] = {}
        self._files = files
        for file, header in parts:
            for info in header.tensors:
                if info.name in self.tensors:
                    raise FormatError(
                        file.path,
                        f"tensor {shown(info.name)}",
                        "a name once in all parts",
                        "the name of a tensor in an earlier part",
                    )
                tensor: ModelTensor = Tensor(file, info)
                if header.is_big_endian:
                    tensor = BigEndianTensor(tensor, file.path)
                self.tensors[info.name] = tensor

    def fingerprint(self) -> str:
        """Return a digest of settings and weights, which differs between models."""
        return fingerprint(self.metadata, self.tensors.values())

    def close(self) -> None:
        """Unmap the weights; arrays already taken from tensors stay valid."""
        for file in self._files:
            file.close()

    def __enter__(self) -> GGUFFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<GGUFFile {str(self.path)!r}: {len(self.tensors)} tensors>"


def open_gguf(path: str | os.PathLike[str], *, metadata_only: bool = False) -> GGUFFile:
    """Open a model: a GGUF file, or any part of a split one.

    Parameters
    ----------
    path : str or os.PathLike
        The file, or any part of a split one, named `…-00001-of-00003.gguf`.
    metadata_only : bool
        Skip the list of tensors and the other parts. This suffices for a tokenizer,
        and works with unsupported tensor types.

    Returns
    -------
    GGUFFile
        The open model.

    Raises
    ------
    ModelFileError
        A file is missing, a folder, or may not be read.
    FormatError
        A file is not GGUF, or is broken.
    UnsupportedError
        The version, or the type of a value or tensor is not supported.
    """
    with ExitStack() as opened:
        parts = [_open_part(Path(path), opened, metadata_only)]
        number = _split_number(parts[0], "split.no", 0)
        count = _split_number(parts[0], "split.count", 1)
        if number > 0:
            first = _first_part(Path(path), number, count)
            opened.close()
            return open_gguf(first, metadata_only=metadata_only)
        if count > 1 and not metadata_only:
            for name in _later_parts(Path(path), count):
                parts.append(_open_part(name, opened, metadata_only))
            _check_parts(parts)
        model = GGUFFile(parts)
        opened.pop_all()
    return model


def _open_part(
    path: Path, opened: ExitStack, metadata_only: bool
) -> tuple[MappedFile, Header]:
    file = MappedFile(path)
    opened.callback(file.close)
    return file, read_header(file, metadata_only=metadata_only)


def _split_number(part: tuple[MappedFile, Header], key: str, default: int) -> int:
    file, header = part
    found = header.metadata.get(key, default)
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise FormatError(file.path, key, "a whole number", shown(found))
    return found


def _first_part(path: Path, number: int, count: int) -> Path:
    """Find the first part, given a later one whose `split.no` is `number`."""
    name = _PART_NAME.fullmatch(path.name)
    wanted = f"0, that of the first of {count} files"
    if not name or (int(name[2]), int(name[3])) != (number + 1, count):
        found = f"{number}, and a file name that does not name its part"
        raise FormatError(path, "split.no", wanted, found)
    first = path.with_name(f"{name[1]}-00001-of-{count:05d}.gguf")
    if not os.path.exists(first):
        found = f"{number}, and no file {first.name} beside it"
        raise FormatError(path, "split.no", wanted, found)
    return first


def _later_parts(path: Path, count: int) -> list[Path]:
    name = _PART_NAME.fullmatch(path.name)
    if not name or (int(name[2]), int(name[3])) != (1, count):
        wanted = f"…-00001-of-{count:05d}.gguf, for split.count is {count}"
        raise FormatError(path, "file name", wanted, path.name)
    paths = []
    # check for all parts before opening any, so that a missing one is reported at once
    for number in range(2, count + 1):
        part = path.with_name(f"{name[1]}-{number:05d}-of-{count:05d}.gguf")
        paths.append(part)
        if not os.path.exists(part):
            raise ModelFileError(
                errno.ENOENT,
                f"part of a model split into {count} files is missing",
                str(part),
            )
    return paths


def _check_parts(parts: list[tuple[MappedFile, Header]]) -> None:
    """Check that the parts are numbered in order and have all tensors."""
    count = len(parts)
    for number, part in enumerate(parts):
        path = part[0].path
        for key, wanted in (("split.no", number), ("split.count", count)):
            if key not in part[1].metadata:
                raise FormatError(path, key, wanted, "no such key")
            found = _split_number(part, key, 0)
            if found != wanted:
                raise FormatError(path, key, wanted, found)
    total = sum(len(header.tensors) for _, header in parts)
    wanted_total = _split_number(parts[0], "split.tensors.count", total)
    if wanted_total != total:
        raise FormatError(
            parts[0][0].path,
            "split.tensors.count",
            f"{total}, the tensors in all {count} files",
            wanted_total,
        )
