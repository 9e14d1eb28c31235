"""From a model file to a smaller one: `quantize`, the file's way through the formats.

A tensor is read, quantised and written before the next; of its float32 weights only
a few rows are in memory at a time.
"""

from __future__ import annotations

import logging
import math
import os
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from llamacy.cpu_count import default_threads
from llamacy.errors import ArgumentError, FormatError
from llamacy.formats.file_types import (
    FileType,
    find_file_type,
    model_shape,
    tensor_type,
)
from llamacy.formats.ggml import dequantize
from llamacy.formats.gguf import GGUFFile, Tensor, open_gguf
from llamacy.formats.gguf_config import read_architecture
from llamacy.formats.gguf_writer import NewTensor, check_target, write_gguf
from llamacy.formats.quantization import quantize as quantize_weights
from llamacy.sampling.checks import check_callback, checked_integer
from llamacy.sources import locate

Path = str | os.PathLike[str]

_CHUNK: Final = 1 << 20  # weights of a tensor that a thread converts at a time
_MAX_THREADS: Final = 1024
_UINT32: Final = 4  # as GGUF numbers the types of values
_QUANTIZATION_VERSION: Final = 2  # of ggml's block layouts

_logger = logging.getLogger("llamacy")


@dataclass(frozen=True, slots=True)
class QuantizedFile:
    """What :func:`quantize` wrote.

    Attributes
    ----------
    path : the new file.
    type : its file type.
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
        part.
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
    FormatError : `source` is not a sound GGUF file, or has weights that cannot be
        quantised: not finite, or too large.

    Examples
    --------
    >>> quantize("llama-F16.gguf", "llama-Q4_K_M.gguf", "Q4_K_M")  # doctest: +SKIP
    """
    file_type = find_file_type(type)
    if n_threads is None:
        n_threads = default_threads()
    n_threads = checked_integer("n_threads", n_threads, 1, _MAX_THREADS)
    check_callback("progress", progress)
    if not isinstance(target, str | os.PathLike):
        raise ArgumentError(f"target: wanted a path, found {target!r}")
    with open_gguf(locate(source)) as file:
        read_architecture(file)  # no model without one
        tensors = _plan(file, file_type)
        n_bytes = sum(each.n_bytes for each in tensors)
        check_target(os.fspath(target), file.paths, n_bytes)
        metadata, value_types = _metadata(file, file_type)
        converted = _convert_all(file, tensors, n_threads, progress)
        with closing(converted) as blocks:
            write_gguf(os.fspath(target), metadata, value_types, tensors, blocks)
        sources = file.tensors.values()
        return QuantizedFile(
            path=os.fspath(target),
            type=file_type.name,
            n_params=sum(math.prod(tensor.shape) for tensor in sources),
            source_bytes=sum(tensor.n_bytes for tensor in sources),
            target_bytes=n_bytes,
            tensor_types=dict(Counter(tensor.type.name for tensor in tensors)),
        )


def _plan(file: GGUFFile, file_type: FileType) -> list[NewTensor]:
    """Choose every tensor's type, and say what a reader of the log should know."""
    model = model_shape(file.metadata, file.tensors)
    tensors, n_again = [], 0
    for tensor in file.tensors.values():
        chosen = tensor_type(file_type, model, tensor.name, tensor.shape, tensor.type)
        tensors.append(NewTensor(tensor.name, chosen, tensor.shape))
        n_again += chosen != tensor.type and tensor.type.block_size > 1
    if n_again:
        _logger.warning(
            "%s: %d of %d tensors were quantised before; a model made from float "
            "weights is better",
            file.path, n_again, len(tensors),
        )  # fmt: skip
    return tensors


def _metadata(
    file: GGUFFile, file_type: FileType
) -> tuple[dict[str, Any], dict[str, int]]:
    """Make the new file's metadata, and the types of the values."""
    changed = {
        "general.file_type": file_type.number,
        "general.quantization_version": _QUANTIZATION_VERSION,
    }
    kept = {
        key: value
        for key, value in file.metadata.items()
        if not key.startswith("split.")  # the new file is one
    }
    return kept | changed, file.value_types | dict.fromkeys(changed, _UINT32)


def _convert_all(
    file: GGUFFile,
    tensors: list[NewTensor],
    n_threads: int,
    progress: Callable[[float], None] | None,
) -> Generator[NDArray[np.uint8], None, None]:
    """Yield the blocks of each new tensor: uint8, (n_bytes,)."""
    n_all = sum(math.prod(tensor.shape) for tensor in tensors)
    n_done = 0
    with ThreadPoolExecutor(n_threads) as threads:
        for old, new in zip(file.tensors.values(), tensors, strict=True):
            result = np.empty(new.n_bytes, np.uint8)
            for n_weights in _convert(file, old, new, result, threads):
                n_done += n_weights
                if progress is not None:
                    progress(n_done / n_all)
            yield result
            old.release()


def _convert(
    file: GGUFFile,
    old: Tensor,
    new: NewTensor,
    result: NDArray[np.uint8],
    threads: ThreadPoolExecutor,
) -> Iterator[int]:
    """Fill `result` a few rows at a time; yield how many weights each time."""
    if old.type == new.type:
        result[:] = old.data
        yield math.prod(old.shape)
        return
    n_in = old.shape[-1]
    n_rows = math.prod(old.shape[:-1])
    rows = old.data.reshape(n_rows, -1)
    new_rows = result.reshape(n_rows, -1)
    step = max(1, _CHUNK // n_in)

    def convert(first: int) -> int:
        part = rows[first : first + step]
        weights = dequantize(part.reshape(-1), old.type, (len(part), n_in))
        try:
            blocks = quantize_weights(weights, new.type)
        except ArgumentError as error:
            raise _bad_weights(file, new, weights) from error
        new_rows[first : first + step] = blocks.reshape(len(part), -1)
        return weights.size

    yield from threads.map(convert, range(0, n_rows, step))


def _bad_weights(
    file: GGUFFile, tensor: NewTensor, weights: NDArray[np.float32]
) -> FormatError:
    """Say which tensor cannot be quantised, and why."""
    magnitude = float(np.abs(weights).max())
    return FormatError(
        file.path,
        f"tensor {tensor.name}",
        f"finite weights within the range of {tensor.type.name}",
        f"{magnitude:g}" if math.isfinite(magnitude) else "NaN or infinity",
    )
