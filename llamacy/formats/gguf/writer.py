"""Writes a GGUF file, tensor by tensor, with the package `gguf`.

That package is slow to import and pulls in other libraries, so it is imported on first
use.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamacy.formats.gguf.header import DEFAULT_ALIGNMENT
from llamacy.ggml.types import GGMLType
from llamacy.system.whole_files import file_errors, new_file

_ARCHITECTURE = "general.architecture"


class NewTensor(NamedTuple):
    """A tensor to be written, without its blocks.

    Attributes
    ----------
    name : str
        Name in the file.
    type : GGMLType
        Type of its blocks.
    shape : tuple of int
        Sizes, slowest first.
    """

    name: str
    type: GGMLType
    shape: tuple[int, ...]

    @property
    def n_bytes(self) -> int:
        """Size of all its blocks, in bytes."""
        n_blocks = math.prod(self.shape) // self.type.block_size
        return n_blocks * self.type.type_size


def write_gguf(
    path: str,
    metadata: Mapping[str, Any],
    value_types: Mapping[str, int],
    tensors: Sequence[NewTensor],
    blocks: Iterable[NDArray[np.uint8]],
) -> None:
    """Write a file, completely or not at all.

    Only one tensor needs to be in memory at a time. An existing file is replaced at
    the end.

    Parameters
    ----------
    path : str
        The file to write.
    metadata : Mapping of str to Any
        Keys and values, as `GGUFFile.metadata` has them. Empty arrays are left out,
        which means the same to readers.
    value_types : Mapping of str to int
        Types of the values, as in `GGUFFile.value_types`.
    tensors : Sequence of NewTensor
        All tensors, in order.
    blocks : Iterable of uint8 arrays
        The blocks of each tensor, (n_bytes,), in the same order. Its exceptions are
        passed on.

    Raises
    ------
    ModelFileError
        The file cannot be written, or the disk is too small for it.
    """
    n_bytes = sum(each.n_bytes for each in tensors)
    # Before the draft file exists: this imports packages, some of which ignore Ctrl-C.
    writer = _writer(metadata, value_types, tensors)
    with new_file(path, n_bytes=n_bytes) as draft:
        _write(path, draft, writer, blocks)


def _writer(
    metadata: Mapping[str, Any],
    value_types: Mapping[str, int],
    tensors: Sequence[NewTensor],
) -> Any:
    """Return a GGUFWriter that has everything but the file's path and the weights."""
    import gguf

    writer = gguf.GGUFWriter(None, metadata.get(_ARCHITECTURE, ""))
    if _ARCHITECTURE not in metadata:  # not a model
        writer.kv_data[0].clear()
    for key, value in metadata.items():
        if key != _ARCHITECTURE:
            _add_value(writer, key, value, gguf.GGUFValueType(value_types[key]))
    writer.data_alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    floats = np.dtype(np.float32)  # overridden by the type
    for one in tensors:
        # a number to the package, whose own enumeration may lack the youngest types
        writer.add_tensor_info(one.name, one.shape, floats, one.n_bytes, one.type)
    return writer


def _write(
    path: str, draft: str, writer: Any, blocks: Iterable[NDArray[np.uint8]]
) -> None:
    try:
        with file_errors(path):
            writer.write_header_to_file(Path(draft))
            writer.write_kv_data_to_file()
            writer.write_ti_data_to_file()
        for data in blocks:
            with file_errors(path):
                writer.write_tensor_data(data)
        with file_errors(path):
            writer.close()
    finally:
        # after an error, closing may fail too: the first error is the cause
        with suppress(OSError):
            writer.close()


def _add_value(writer: Any, key: str, value: Any, value_type: Any) -> None:
    """Add one key; of an array, `value_type` is the type of the items."""
    from gguf import GGUFValueType

    if not isinstance(value, list | np.ndarray):
        writer.add_key_value(key, value, value_type)
    elif len(value):
        items = list(value) if isinstance(value, list) else value.tolist()
        writer.add_key_value(key, items, GGUFValueType.ARRAY, sub_type=value_type)
