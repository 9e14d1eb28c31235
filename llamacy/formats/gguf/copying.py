"""Writes a model of any format as a GGUF file, tensor by tensor."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import ArgumentError
from llamacy.formats.gguf.writer import NewTensor, write_gguf
from llamacy.formats.model_file import ModelFile, ModelTensor
from llamacy.formats.requantized_tensor import RequantizedTensor


def write_model(
    file: ModelFile, target: str, progress: Callable[[float], None] | None
) -> list[NewTensor]:
    """Write a model to a file, completely or not at all.

    Only one tensor is in memory at a time. An existing file is replaced at the end.

    Parameters
    ----------
    file : ModelFile
        The model to write.
    target : str
        Path of the file to write.
    progress : callable, optional
        Called with the share done, 0.0 to 1.0.

    Returns
    -------
    list of NewTensor
        The tensors written.

    Raises
    ------
    ArgumentError
        `target` is one of the model's own files.
    ModelFileError
        The file cannot be written, or the disk is too small for it.
    FormatError
        A tensor's type cannot represent one of its weights.
    """
    tensors = [
        NewTensor(each.name, each.type, each.shape) for each in file.tensors.values()
    ]
    _check_no_source(target, file.paths)
    metadata = {
        key: value
        for key, value in file.metadata.items()
        if not key.startswith("split.")  # the new file is not split
    }
    with closing(_blocks(file, progress)) as blocks:
        write_gguf(target, metadata, file.value_types, tensors, blocks)
    return tensors


def _check_no_source(target: str, sources: Iterable[Path]) -> None:
    if os.path.exists(target) and any(
        os.path.samefile(target, path) for path in sources
    ):
        raise ArgumentError(
            f"target: wanted another file than the source, found {target}"
        )


def _blocks(
    file: ModelFile, progress: Callable[[float], None] | None
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
    """Return a tensor's blocks; call `done` with the weights of each chunk of it."""
    if not isinstance(tensor, RequantizedTensor):
        done(math.prod(tensor.shape))
        return tensor.data
    result = np.empty(tensor.n_bytes, np.uint8)
    for n_weights in tensor.fill(result):
        done(n_weights)
    return result
