"""Writing a GGUF file, tensor by tensor, with the package ``gguf``.

That package is slow to import and knows many libraries, so it is imported when it is
needed.
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
    """A tensor to be written: its blocks come later. `shape` : slowest size first."""

    name: str
    type: GGMLType
    shape: tuple[int, ...]

    @property
    def n_bytes(self) -> int:
        """Bytes of all its blocks."""
        n_blocks = math.prod(self.shape) // self.type.block_size
        return n_blocks * self.type.type_size


def write_gguf(
    path: str,
    metadata: Mapping[str, Any],
    value_types: Mapping[str, int],
    tensors: Sequence[NewTensor],
    blocks: Iterable[NDArray[np.uint8]],
) -> None:
    """Write a file, which is there whole in the end or not at all.

    Only one tensor need be in memory at a time. A file that is there already is
    replaced at the end.

    Parameters
    ----------
    metadata, value_types : as :class:`GGUFFile` has them. Arrays without items are
        left out, which readers take as the same.
    tensors : all of them, in order.
    blocks : the bytes of each, uint8, (n_bytes,), in the same order. What goes wrong
        in making them is raised as it is.

    Raises
    ------
    ModelFileError : it cannot be written, or there is no room for it.
    """
    n_bytes = sum(each.n_bytes for each in tensors)
    # Before there is a draft: some of what this imports takes no notice of Ctrl-C.
    writer = _writer(metadata, value_types, tensors)
    with new_file(path, n_bytes=n_bytes) as draft:
        _write(path, draft, writer, blocks)


def _writer(
    metadata: Mapping[str, Any],
    value_types: Mapping[str, int],
    tensors: Sequence[NewTensor],
) -> Any:
    """Make a GGUFWriter that knows everything but its file and the weights."""
    import gguf

    writer = gguf.GGUFWriter(None, metadata[_ARCHITECTURE])
    for key, value in metadata.items():
        if key != _ARCHITECTURE:
            _add_value(writer, key, value, gguf.GGUFValueType(value_types[key]))
    writer.data_alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    floats = np.dtype(np.float32)  # is overruled by the type that follows
    for one in tensors:
        raw_type = gguf.GGMLQuantizationType(one.type)
        writer.add_tensor_info(one.name, one.shape, floats, one.n_bytes, raw_type)
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
        # after an error: it is the first one that counts
        with suppress(OSError):
            writer.close()


def _add_value(writer: Any, key: str, value: Any, value_type: Any) -> None:
    """Add one key; `value_type` is that of the value, or of an array's items."""
    from gguf import GGUFValueType

    if not isinstance(value, list | np.ndarray):
        writer.add_key_value(key, value, value_type)
    elif len(value):
        items = list(value) if isinstance(value, list) else value.tolist()
        writer.add_key_value(key, items, GGUFValueType.ARRAY, sub_type=value_type)
