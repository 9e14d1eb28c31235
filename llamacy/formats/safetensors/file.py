"""The header of a safetensors file: its tensors' names, types and places.

A file is a length, a JSON object of that length, and the tensors' bytes, without gaps
or trailing bytes. Source: the format's description in the README of the safetensors
library. Every number is checked before it is used.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple, NoReturn

from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.gguf.header import TensorInfo
from llamacy.formats.json_text import parse_json
from llamacy.formats.mapped_file import MappedFile
from llamacy.formats.other_formats import describe
from llamacy.ggml.types import GGMLType
from llamacy.printable import shown

MAX_HEADER: Final = 100_000_000  # bytes, by the specification
MAX_ITEMS: Final = 1 << 22  # in the header; a tensor has ten
MAX_DIMS: Final = 8
MAX_SIZE: Final = 1 << 40  # of one dimension

DTYPES: Final = {"F32": GGMLType.F32, "F16": GGMLType.F16, "BF16": GGMLType.BF16}
"""The types of tensors that hold weights."""

DOUBLES: Final = "F64"
"""The type of tensors that are read as float32."""

BYTES: Final = "U8"
"""The type of tensors of raw bytes, read only where their encoding is known."""

# Bits of an item of the types that no weights have here: their tensors can be there,
# and are passed over unless the model needs them.
_OTHERS: Final = {
    DOUBLES: 64,
    BYTES: 8,
    "BOOL": 8,
    "I8": 8,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "F8_E8M0": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "I16": 16,
    "U16": 16,
    "I32": 32,
    "U32": 32,
    "I64": 64,
    "U64": 64,
    "C64": 64,
}

_LENGTH_BYTES: Final = 8
_METADATA: Final = "__metadata__"


class Stored(NamedTuple):
    """A tensor's description and its place in the file.

    The attributes are those of `llamacy.formats.gguf.header.TensorInfo`, but `type` is
    None for all types that are not in `DTYPES`.

    Attributes
    ----------
    dtype : str
        Its type, as the format names it.
    """

    name: str
    dtype: str
    type: GGMLType | None
    shape: tuple[int, ...]
    offset: int
    n_bytes: int

    @property
    def info(self) -> TensorInfo | None:
        """The tensor as a `TensorInfo`; None for a type not in `DTYPES`."""
        if self.type is None:
            return None
        return TensorInfo(self.name, self.type, self.shape, self.offset, self.n_bytes)


def read_header(file: MappedFile) -> list[TensorInfo]:
    """Read and check the header of a file that has weights only.

    Returns
    -------
    list of TensorInfo
        The tensors, in the order of their bytes.

    Raises
    ------
    FormatError
        The file is not safetensors, or it is broken.
    UnsupportedError
        A tensor's type is not in `DTYPES`, or it has no items or no dimensions.
    """
    tensors = []
    for stored in read_stored(file):
        field = f"tensor {shown(stored.name)}"
        if (info := stored.info) is None:
            raise _unknown(file, field, stored.dtype)
        if not stored.n_bytes or not stored.shape:
            wanted = "a vector, a matrix or more"
            raise UnsupportedError(file.path, f"{field}: shape", wanted, stored.shape)
        tensors.append(info)
    return tensors


def read_stored(file: MappedFile) -> list[Stored]:
    """Read and check the header of a file that may have tensors of any type."""
    start = _header_end(file)
    text = file.data[_LENGTH_BYTES:start]
    header = parse_json(text, file.path, "header", most=MAX_ITEMS)
    if not isinstance(header, dict):
        raise FormatError(file.path, "header", "an object", "something else")
    _check_metadata(file, header.pop(_METADATA, {}))
    tensors = [_tensor(file, start, *item) for item in header.items()]
    tensors.sort(key=lambda info: info.offset)
    _check_places(file, start, tensors)
    return tensors


def _header_end(file: MappedFile) -> int:
    """Return the offset of the first tensor, in bytes."""
    head = file.data[:64]
    length = int.from_bytes(head[:_LENGTH_BYTES], "little")
    if not head[_LENGTH_BYTES:].lstrip(b" \t\r\n").startswith(b"{"):
        raise FormatError(file.path, "file", "a safetensors file", describe(head))
    if length > MAX_HEADER:
        wanted = f"at most {MAX_HEADER} bytes"
        raise FormatError(file.path, "header: length", wanted, length)
    if _LENGTH_BYTES + length > file.size:
        found = f"{file.size - _LENGTH_BYTES} before the end of the file"
        raise FormatError(file.path, "header", f"{length} bytes", found)
    return _LENGTH_BYTES + length


def _check_metadata(file: MappedFile, metadata: Any) -> None:
    """Check that the metadata, which are not used, are strings by name."""
    is_sound = isinstance(metadata, dict) and all(
        isinstance(value, str) for value in metadata.values()
    )
    if not is_sound:
        wanted = "an object of strings"
        raise FormatError(file.path, f"header: {_METADATA}", wanted, "something else")


def _unknown(file: MappedFile, field: str, dtype: str) -> UnsupportedError:
    wanted = f"one of {', '.join(DTYPES)}"
    return UnsupportedError(file.path, f"{field}: dtype", wanted, shown(dtype))


def _tensor(file: MappedFile, start: int, name: str, entry: Any) -> Stored:
    """Read one entry of the header; its offsets count from `start`."""
    field = f"tensor {shown(name)}"

    def fail(part: str, wanted: object, found: object) -> NoReturn:
        raise FormatError(file.path, f"{field}: {part}", wanted, shown(found))

    keys = ("dtype", "shape", "data_offsets")
    if not isinstance(entry, dict) or set(entry) != set(keys):
        raise FormatError(file.path, field, ", ".join(keys), "something else")
    dtype, shape, offsets = (entry[key] for key in keys)
    if not name:
        fail("name", "a name", "an empty one")
    if not isinstance(dtype, str):
        fail("dtype", "a string", dtype)
    if dtype not in DTYPES and dtype not in _OTHERS:
        raise _unknown(file, field, dtype)
    if not _are_whole(shape) or len(shape) > MAX_DIMS:
        fail("shape", f"at most {MAX_DIMS} whole numbers", shape)
    if not all(0 <= size <= MAX_SIZE for size in shape):
        fail("shape", f"sizes from 0 to {MAX_SIZE}", tuple(shape))
    if not _are_whole(offsets) or len(offsets) != 2:
        fail("data_offsets", "two whole numbers", offsets)
    first, end = offsets
    if not 0 <= first <= end <= file.size - start:
        wanted = f"a range within the {file.size - start} bytes of tensors"
        fail("data_offsets", wanted, tuple(offsets))
    ggml_type = DTYPES.get(dtype)
    n_bits = 8 * ggml_type.type_size if ggml_type is not None else _OTHERS[dtype]
    n_bytes = -(-math.prod(shape) * n_bits // 8)
    if end - first != n_bytes:
        wanted = f"{n_bytes} bytes for {dtype} of {tuple(shape)}"
        fail("data_offsets", wanted, f"{end - first}")
    return Stored(name, dtype, ggml_type, tuple(shape), start + first, n_bytes)


def _are_whole(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int for value in values)


def _check_places(file: MappedFile, start: int, tensors: list[Stored]) -> None:
    """Check that each byte belongs to one tensor; `tensors` are sorted by offset."""
    at = start
    for info in tensors:
        if info.offset != at:
            found = "bytes of another" if info.offset < at else "a hole before them"
            field = f"tensor {shown(info.name)}: data_offsets"
            wanted = f"bytes from {at - start} on, where the last tensor ends"
            raise FormatError(file.path, field, wanted, found)
        at += info.n_bytes
    if at != file.size:
        wanted = f"{at} bytes, where the last tensor ends"
        raise FormatError(file.path, "file", wanted, f"{file.size} bytes")
