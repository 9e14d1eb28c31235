"""Importance matrices in llama.cpp's binary form of before 2025, `.dat`.

Little-endian int32 and float32: the number of matrices, then for each the length of its
name, the name, a number of calls, the number of values and the values, which are mean
squares times the calls; at the end, which may be missing, the number of chunks, and the
name of the text with its length. An expert that no token went through has values of 1.
Source: llama.cpp's `tools/imatrix` and `common/imatrix-loader.cpp`.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import FormatError
from llamacy.formats.imatrix.matrix import (
    DEFAULT_CHUNK,
    MAX_SUM,
    MOST,
    ImportanceMatrix,
    InputSums,
)
from llamacy.formats.mapped_file import MappedFile
from llamacy.printable import shown
from llamacy.system.whole_files import file_errors, new_file

_MAX_ENTRIES: Final = 1 << 16
_MAX_NAME: Final = 1 << 12  # bytes


def read(path: str) -> ImportanceMatrix:
    """Read such a file; a call counts as `DEFAULT_CHUNK` rows of input.

    Raises
    ------
    FormatError
        It is something else, or it is broken.
    ModelFileError
        It cannot be read.
    """
    file = MappedFile(Path(path))
    try:
        return _read(_Reader(path, bytes(file.data)))
    finally:
        file.close()


def write(matrix: ImportanceMatrix, path: str | os.PathLike[str]) -> None:
    """Write such a file, completely or not at all.

    Raises
    ------
    ModelFileError
        The file cannot be written.
    """
    known = {name: each for name, each in matrix.entries.items() if each.counts.any()}
    parts = [struct.pack("<i", len(known))]
    for name, (sums, counts) in known.items():
        n_calls = min(-(-int(counts.max()) // matrix.chunk_size), MOST)
        rows = counts[:, None].astype(np.float32)
        means = np.where(rows > 0, sums / np.maximum(rows, 1), np.float32(1))
        values = (means * np.float32(n_calls)).astype("<f4")
        text = name.encode()
        head = struct.pack(f"<i{len(text)}sii", len(text), text, n_calls, values.size)
        parts += [head, values.tobytes()]
    text = (matrix.datasets[-1] if matrix.datasets else "").encode()
    parts += [struct.pack("<ii", matrix.n_chunks, len(text)), text]
    data = b"".join(parts)
    with new_file(path, n_bytes=len(data)) as draft, file_errors(path):
        Path(draft).write_bytes(data)


class _Reader:
    """Reads one field after another, none beyond the end."""

    def __init__(self, path: str, data: bytes) -> None:
        self.path = path
        self.data = data
        self.at = 0

    def raw(self, n_bytes: int, field: str) -> bytes:
        rest = len(self.data) - self.at
        if n_bytes > rest:
            raise FormatError(self.path, field, f"{n_bytes} bytes", f"{rest} bytes")
        self.at += n_bytes
        return self.data[self.at - n_bytes : self.at]

    def integer(self, field: str, least: int, most: int) -> int:
        number = int.from_bytes(self.raw(4, field), "little", signed=True)
        if not least <= number <= most:
            raise FormatError(self.path, field, f"{least} to {most}", number)
        return number

    def name(self, field: str) -> str:
        data = self.raw(self.integer(f"{field}: length", 0, _MAX_NAME), field)
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise FormatError(self.path, field, "UTF-8", data[:40]) from None

    def values(self, field: str) -> NDArray[np.float32]:
        count = self.integer(f"{field}: number of values", 1, len(self.data) // 4)
        values = np.frombuffer(self.raw(4 * count, field), "<f4").astype(np.float32)
        sound = (values >= 0) & (values <= MAX_SUM)
        if not sound.all():
            wanted, found = f"numbers from 0 to {MAX_SUM:g}", float(values[~sound][0])
            raise FormatError(self.path, field, wanted, found)
        return values


def _read(reader: _Reader) -> ImportanceMatrix:
    field = "number of matrices (of an importance matrix, GGUF or .dat)"
    n_entries = reader.integer(field, 1, _MAX_ENTRIES)
    entries: dict[str, InputSums] = {}
    for i in range(n_entries):
        name = reader.name(f"name of matrix {i}")
        field = f"matrix {shown(name)}"
        if not name or name in entries:
            raise FormatError(reader.path, f"name of matrix {i}", "a new one", name)
        n_calls = max(1, reader.integer(f"{field}: calls", -MOST - 1, MOST))
        sums = reader.values(field)[None] * np.float32(DEFAULT_CHUNK)
        entries[name] = InputSums(sums, np.array([n_calls * DEFAULT_CHUNK]))
    n_chunks = 0
    datasets: tuple[str, ...] = ()
    if reader.at < len(reader.data):
        n_chunks = max(0, reader.integer("chunks", -MOST - 1, MOST))
    if reader.at < len(reader.data):
        datasets = tuple(filter(None, [reader.name("name of the text")]))
    entries = dict(sorted(entries.items()))
    return ImportanceMatrix(entries, datasets, n_chunks, path=reader.path)
