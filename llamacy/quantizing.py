"""From a model's files to one GGUF file: `quantize`, and `convert`.

A tensor is read, quantised and written before the next; of its float32 weights only
a few rows are in memory at a time.
"""

from __future__ import annotations

import errno
import math
import os
import shutil
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from llamacy.cpu_count import default_threads
from llamacy.errors import ArgumentError, ModelFileError
from llamacy.formats.converted import ConvertedFile, ConvertedTensor
from llamacy.formats.file_types import FILE_TYPES, FileType, find_file_type
from llamacy.formats.gguf_config import read_architecture
from llamacy.formats.gguf_writer import NewTensor, write_gguf
from llamacy.formats.model_file import ModelFile, ModelTensor
from llamacy.model_files import open_model
from llamacy.sampling.checks import check_callback, checked_integer
from llamacy.sources import locate

Path = str | os.PathLike[str]

_MAX_THREADS: Final = 1024


@dataclass(frozen=True, slots=True)
class QuantizedFile:
    """What :func:`quantize` or :func:`convert` wrote.

    Attributes
    ----------
    path : the new file.
    type : its file type; ``"unknown"`` if a source that was kept so does not say.
    n_params : weights of all tensors.
    source_bytes, target_bytes : of all tensors, before and after.
    tensor_types : how many tensors there are of each type, in the new file.
    """

    path: str
    type: str
    n_params: int
    source_bytes: int
    target_bytes: int
    tensor_types: dict[str, int]


def quantize(
    source: Path,
    target: Path,
    type: str,
    *,
    n_threads: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> QuantizedFile:
    """Write a model with its weights in another type.

    All metadata stay as they are, but for those that say the type. A file that
    `target` names already is replaced once the new one is complete; if anything
    fails, it stays as it is.

    Parameters
    ----------
    source : path of a GGUF file, or ``"demo"``; of a split model, the path of any
        part. Or a folder of safetensors.
    target : path of the file to write, one file in any case.
    type : a file type, named as llama.cpp's: ``"Q4_K_M"``, ``"Q8_0"``, ``"F16"``.
    n_threads : threads to compute with; None is one for each physical core this
        process may use. The file does not depend on it.
    progress : called with the share done, 0.0 to 1.0.

    Raises
    ------
    ArgumentError : an unknown type or a bad option, or `target` is a file of
        `source`.
    ModelFileError : a file cannot be read or written; the disk is full.
    FormatError : `source` is not a sound model file, or has weights that cannot be
        quantised: not finite, or too large.

    Examples
    --------
    >>> quantize("llama-F16.gguf", "llama-Q4_K_M.gguf", "Q4_K_M")  # doctest: +SKIP
    """
    return _write(source, target, find_file_type(type), n_threads, progress)


def convert(
    source: Path,
    target: Path,
    type: str | None = None,
    *,
    n_threads: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> QuantizedFile:
    """Write a model as one GGUF file, its metadata and tensors named as llama.cpp's.

    Parameters
    ----------
    source : path of a folder of safetensors, as Hugging Face has them, or of any other
        model that :func:`llamacy.load` takes.
    target : path of the file to write. One that is there already is replaced once the
        new one is complete; if anything fails, it stays as it is.
    type : a file type, as :func:`quantize` takes it; None keeps the types of matrices.
        Vectors are float32 in any case.
    n_threads, progress : as :func:`quantize` takes them.

    Raises
    ------
    ArgumentError, ModelFileError, FormatError : as :func:`quantize` raises them.
    UnsupportedError : a family, a vocabulary or a type that llamacy does not know.

    Examples
    --------
    >>> convert("SmolLM2-135M", "SmolLM2-135M.gguf", "Q8_0")  # doctest: +SKIP
    """
    file_type = None if type is None else find_file_type(type)
    return _write(source, target, file_type, n_threads, progress)


def _write(
    source: Path,
    target: Path,
    file_type: FileType | None,
    n_threads: int | None,
    progress: Callable[[float], None] | None,
) -> QuantizedFile:
    """Write `source` in another type, or for None in its own."""
    if n_threads is None:
        n_threads = default_threads()
    n_threads = checked_integer("n_threads", n_threads, 1, _MAX_THREADS)
    check_callback("progress", progress)
    if not isinstance(target, str | os.PathLike):
        raise ArgumentError(f"target: wanted a path, found {target!r}")
    with (
        open_model(locate(source)) as file,
        ConvertedFile(file, file_type, n_threads) as converted,
    ):
        read_architecture(file)  # no model without one
        tensors = [
            NewTensor(each.name, each.type, each.shape)
            for each in converted.tensors.values()
        ]
        _check_target(file, os.fspath(target), sum(each.n_bytes for each in tensors))
        kept = {  # the new file is one
            key: value
            for key, value in converted.metadata.items()
            if not key.startswith("split.")
        }
        with closing(_blocks(converted, progress)) as blocks:
            write_gguf(os.fspath(target), kept, converted.value_types, tensors, blocks)
        sources = file.tensors.values()
        return QuantizedFile(
            path=os.fspath(target),
            type=_type_name(kept),
            n_params=sum(math.prod(tensor.shape) for tensor in sources),
            source_bytes=sum(tensor.n_bytes for tensor in sources),
            target_bytes=sum(tensor.n_bytes for tensor in tensors),
            tensor_types=dict(Counter(tensor.type.name for tensor in tensors)),
        )


def _type_name(metadata: Mapping[str, Any]) -> str:
    """Name the file type, if it is said and has one here."""
    number = metadata.get("general.file_type")
    names = (each.name for each in FILE_TYPES.values() if each.number == number)
    return next(names, "unknown")


def _check_target(file: ModelFile, target: str, n_bytes: int) -> None:
    """Find out before the work what would fail after it."""
    folder = os.path.dirname(os.path.abspath(target))
    if os.path.exists(target) and not os.path.isfile(target):
        raise ModelFileError(errno.EINVAL, "not a regular file", target)
    if not os.path.isdir(folder):
        raise ModelFileError(errno.ENOENT, os.strerror(errno.ENOENT), folder)
    if os.path.exists(target) and any(
        os.path.samefile(target, path) for path in file.paths
    ):
        raise ArgumentError(
            f"target: wanted another file than the source, found {target}"
        )
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        raise ModelFileError(
            errno.ENOSPC, f"no space for {n_bytes} bytes, {free} are free", target
        )


def _blocks(
    file: ConvertedFile, progress: Callable[[float], None] | None
) -> Generator[NDArray[np.uint8], None, None]:
    """Yield the blocks of each tensor: uint8, (n_bytes,)."""
    n_all = sum(math.prod(tensor.shape) for tensor in file.tensors.values())
    n_done = 0

    def done(n_weights: int) -> None:
        nonlocal n_done
        n_done += n_weights
        if progress is not None:
            progress(n_done / n_all)

    for tensor in file.tensors.values():
        yield _data(tensor, done)
        tensor.release()


def _data(tensor: ModelTensor, done: Callable[[int], None]) -> NDArray[np.uint8]:
    """Return a tensor's blocks; call `done` with how many weights are, meanwhile."""
    if not isinstance(tensor, ConvertedTensor):
        done(math.prod(tensor.shape))
        return tensor.data
    result = np.empty(tensor.n_bytes, np.uint8)
    for n_weights in tensor.fill(result):
        done(n_weights)
    return result
