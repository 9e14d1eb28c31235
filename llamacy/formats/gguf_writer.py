"""Writing a GGUF file, tensor by tensor, with the package ``gguf``.

That package is slow to import and knows many libraries, so it is imported when it is
needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamacy.formats.ggml import GGMLType
from llamacy.formats.gguf_header import DEFAULT_ALIGNMENT

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
    """Write a file, of which only one tensor need be in memory at a time.

    Parameters
    ----------
    path : is overwritten, and left half-written if writing fails.
    metadata, value_types : as :class:`GGUFFile` has them. Arrays without items are
        left out, which readers take as the same.
    tensors : all of them, in order.
    blocks : the bytes of each, uint8, (n_bytes,), in the same order.

    Raises
    ------
    OSError : it cannot be written.
    """
    import gguf

    with closing(gguf.GGUFWriter(path, metadata[_ARCHITECTURE])) as writer:
        for key, value in metadata.items():
            if key != _ARCHITECTURE:
                _add_value(writer, key, value, gguf.GGUFValueType(value_types[key]))
        writer.data_alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
        for one in tensors:
            raw_type = gguf.GGMLQuantizationType(one.type)
            # the type that counts is the last one
            floats = np.dtype(np.float32)
            writer.add_tensor_info(one.name, one.shape, floats, one.n_bytes, raw_type)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for data in blocks:
            writer.write_tensor_data(data)
        writer.flush()


def _add_value(writer: Any, key: str, value: Any, value_type: Any) -> None:
    """Add one key; `value_type` is that of the value, or of an array's items."""
    from gguf import GGUFValueType

    if not isinstance(value, list | np.ndarray):
        writer.add_key_value(key, value, value_type)
    elif len(value):
        items = list(value) if isinstance(value, list) else value.tolist()
        writer.add_key_value(key, items, GGUFValueType.ARRAY, sub_type=value_type)
