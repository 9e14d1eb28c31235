"""Importance matrices as GGUF files, llama.cpp's form of today.

Two float32 tensors a matrix: NAME.in_sum2, sums of squares, a row for each expert, and
NAME.counts, how many rows of input each expert had. The keys `imatrix.*` say which text
was read. Source: llama.cpp's `tools/imatrix` and `common/imatrix-loader.cpp`.
"""

from __future__ import annotations

import math
import os
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import FormatError
from llamacy.formats.gguf.file import open_gguf
from llamacy.formats.gguf.writer import NewTensor, write_gguf
from llamacy.formats.imatrix.matrix import (
    DEFAULT_CHUNK,
    MAX_SUM,
    MOST,
    ImportanceMatrix,
    InputSums,
)
from llamacy.formats.metadata import Metadata
from llamacy.formats.model_file import ModelTensor
from llamacy.ggml.types import GGMLType

_SUMS, _COUNTS = ".in_sum2", ".counts"
_DATASETS: Final = "imatrix.datasets"
_N_CHUNKS: Final = "imatrix.chunk_count"
_CHUNK_SIZE: Final = "imatrix.chunk_size"
_MAX_COUNT: Final = 2.0**53  # float64 counts no further


def read(path: str) -> ImportanceMatrix:
    """Read such a file.

    Raises
    ------
    FormatError
        It is something else, such as a model, or it is broken.
    ModelFileError
        It cannot be read.
    """
    with open_gguf(path) as file:
        names = [
            name.removesuffix(_SUMS) for name in file.tensors if name.endswith(_SUMS)
        ]
        if not names:
            kind = file.metadata.get("general.type", "model")
            wanted = f"an importance matrix, with tensors NAME{_SUMS}"
            raise FormatError(path, "file", wanted, f"a GGUF file of type {kind!r}")
        entries = {name: _entry(path, name, file.tensors) for name in sorted(names)}
        return ImportanceMatrix(
            entries,
            datasets=_datasets(path, file.metadata),
            n_chunks=_integer(path, file.metadata, _N_CHUNKS, 0, 0),
            chunk_size=_integer(path, file.metadata, _CHUNK_SIZE, 1, DEFAULT_CHUNK),
            path=path,
        )


def write(matrix: ImportanceMatrix, path: str | os.PathLike[str]) -> None:
    """Write such a file, completely or not at all.

    Raises
    ------
    ModelFileError
        The file cannot be written.
    """
    keys = Metadata()
    keys.text("general.type", "imatrix")
    keys.texts(_DATASETS, list(matrix.datasets) or [""])
    keys.integer(_N_CHUNKS, matrix.n_chunks)
    keys.integer(_CHUNK_SIZE, matrix.chunk_size)
    tensors, blocks = [], []
    for name, (sums, counts) in matrix.entries.items():
        for end, values in ((_SUMS, sums), (_COUNTS, counts[:, None])):
            floats = np.ascontiguousarray(values, "<f4")
            tensors.append(NewTensor(name + end, GGMLType.F32, floats.shape))
            blocks.append(floats.reshape(-1).view(np.uint8))
    write_gguf(os.fspath(path), keys.values, keys.types, tensors, blocks)


def _entry(path: str, name: str, tensors: dict[str, ModelTensor]) -> InputSums:
    counts_tensor = tensors.get(name + _COUNTS)
    if counts_tensor is None:
        raise FormatError(path, f"tensor {name}{_COUNTS}", "counts", "no such tensor")
    sums = _numbers(path, name + _SUMS, tensors[name + _SUMS])
    counts = _numbers(path, name + _COUNTS, counts_tensor)
    if len(sums) % len(counts):
        wanted = f"a divisor of {len(sums)}, the number of sums"
        raise FormatError(path, f"tensor {name}{_COUNTS}", wanted, len(counts))
    return InputSums(sums.reshape(len(counts), -1), np.rint(counts).astype(np.int64))


def _numbers(path: str, name: str, tensor: ModelTensor) -> NDArray[np.float32]:
    """Return sums or counts: float32, (n,), none of them negative."""
    if tensor.type != GGMLType.F32:
        raise FormatError(path, f"tensor {name}: type", "F32", tensor.type.name)
    numbers = tensor.dequantize().reshape(math.prod(tensor.shape))
    limit = _MAX_COUNT if name.endswith(_COUNTS) else MAX_SUM
    sound = (numbers >= 0) & (numbers <= limit)
    if not sound.all():
        wanted = f"numbers from 0 to {limit:g}"
        raise FormatError(path, f"tensor {name}", wanted, float(numbers[~sound][0]))
    return numbers


def _datasets(path: str, metadata: dict[str, Any]) -> tuple[str, ...]:
    found = metadata.get(_DATASETS, [])
    if not isinstance(found, list):
        raise FormatError(path, _DATASETS, "an array of strings", type(found).__name__)
    return tuple(filter(None, found))


def _integer(
    path: str, metadata: dict[str, Any], key: str, least: int, default: int
) -> int:
    found = metadata.get(key, default)
    is_whole = isinstance(found, int) and not isinstance(found, bool)
    if not is_whole or not least <= found <= MOST:
        raise FormatError(path, key, f"a whole number from {least} to {MOST}", found)
    return int(found)
