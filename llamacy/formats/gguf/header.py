"""The header of a GGUF file: metadata and the list of tensors.

Source: the GGUF specification, `docs/gguf.md` of ggml, versions 2 and 3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import FormatError
from llamacy.formats.gguf.cursor import Cursor
from llamacy.formats.mapped_file import MappedFile
from llamacy.formats.metadata import STRING
from llamacy.formats.other_formats import describe
from llamacy.ggml.types import GGMLType, type_name
from llamacy.printable import shown

MAGIC: Final = b"GGUF"
VERSIONS: Final = (2, 3)

# Limits far beyond any real model, which keep a hostile file cheap to refuse.
MAX_KEYS: Final = 1 << 16
MAX_TENSORS: Final = 1 << 16
MAX_KEY_LENGTH: Final = 65535  # bytes, by the specification
MAX_NAME_LENGTH: Final = 64  # bytes, by the specification
MAX_DIMS: Final = 4  # ggml's own
MAX_ALIGNMENT: Final = 1 << 16
DEFAULT_ALIGNMENT: Final = 32

_SMALLEST_KEY: Final = 8 + 1 + 4 + 1  # bytes: length, text, type, value
_SMALLEST_TENSOR: Final = 8 + 1 + 4 + 8 + 4 + 8  # length, name, dims, type, offset

# scalar value types of metadata, by GGUF's numbers
_SCALARS: Final[dict[int, np.dtype[Any]]] = {
    0: np.dtype("<u1"),
    1: np.dtype("<i1"),
    2: np.dtype("<u2"),
    3: np.dtype("<i2"),
    4: np.dtype("<u4"),
    5: np.dtype("<i4"),
    6: np.dtype("<f4"),
    7: np.dtype("?"),
    10: np.dtype("<u8"),
    11: np.dtype("<i8"),
    12: np.dtype("<f8"),
}
_ARRAY: Final = 9

# weights and bytes of the blocks that files of PrismML's llama.cpp, before llama.cpp
# itself had such types, mean by the same numbers
_EARLY_BLOCKS: Final = {GGMLType.NVFP4: (32, 6), GGMLType.Q2_0: (128, 34)}


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A tensor's description and its place in the file.

    Attributes
    ----------
    name : str
        Name in the file.
    type : GGMLType
        Type of its blocks.
    shape : tuple of int
        Sizes, slowest first.
    offset : int
        Offset of its blocks from the start of the file, in bytes.
    n_bytes : int
        Size of its blocks, in bytes.
    """

    name: str
    type: GGMLType
    shape: tuple[int, ...]
    offset: int
    n_bytes: int


@dataclass(frozen=True, slots=True)
class Header:
    """All of a GGUF file but the weights.

    Attributes
    ----------
    version : int
        Version of the format.
    metadata : dict of str to Any
        Values by key.
    value_types : dict of str to int
        Types of the values by key, as in `GGUFFile.value_types`.
    tensors : list of TensorInfo
        The tensors, in the file's order.
    is_big_endian : bool
        Whether the highest byte of a number comes first.
    """

    version: int
    metadata: dict[str, Any]
    value_types: dict[str, int]
    tensors: list[TensorInfo]
    is_big_endian: bool


def read_header(file: MappedFile, *, metadata_only: bool) -> Header:
    """Read and check the header.

    Parameters
    ----------
    file : MappedFile
        The whole file.
    metadata_only : bool
        Skip the list of tensors, which may then be broken or unsupported.

    Returns
    -------
    Header
        The header; without tensors if `metadata_only`.

    Raises
    ------
    FormatError
        The file is not GGUF, or it is broken.
    UnsupportedError
        The version, or the type of a value or tensor is not supported.
    """
    if file.data[:4] != MAGIC:
        found = describe(file.data[:64])
        raise FormatError(file.path, "file", "a GGUF model", found)
    cursor = Cursor(file)
    cursor.raw(len(MAGIC), "magic")
    version = _version(cursor)
    n_tensors = cursor.count("tensor count", MAX_TENSORS, _SMALLEST_TENSOR)
    n_keys = cursor.count("metadata key count", MAX_KEYS, _SMALLEST_KEY)
    metadata, value_types = _metadata(cursor, n_keys)
    if metadata_only:
        return Header(version, metadata, value_types, [], cursor.order == ">")
    tensors = [_tensor(cursor, i) for i in range(n_tensors)]
    placed = _place(cursor, tensors, metadata, file.size)
    return Header(version, metadata, value_types, placed, cursor.order == ">")


def _version(cursor: Cursor) -> int:
    """Read the version, and so the order of bytes: no version is beyond 65535."""
    start = cursor.at
    version = cursor.number("I", "version")
    if version and version & 0xFFFF == 0:
        cursor.at, cursor.order = start, ">"
        version = cursor.number("I", "version")
    if version not in VERSIONS:
        cursor.refuse("version", " or ".join(map(str, VERSIONS)), version)
    return version


def _metadata(cursor: Cursor, n_keys: int) -> tuple[dict[str, Any], dict[str, int]]:
    """Read the values and their types, by key; of an array, the type of its items."""
    metadata: dict[str, Any] = {}
    types: dict[str, int] = {}
    for i in range(n_keys):
        key = cursor.name(f"metadata key {i}", MAX_KEY_LENGTH)
        if key in metadata:
            cursor.fail(shown(key), "a key once", "the key twice")
        metadata[key], types[key] = _value(cursor, shown(key))
    return metadata, types


def _value(cursor: Cursor, field: str) -> tuple[Any, int]:
    value_type = cursor.number("I", f"{field}: value type")
    if value_type == STRING:
        return cursor.text(field), STRING
    if value_type == _ARRAY:
        return _array(cursor, field)
    if value_type in _SCALARS:
        return _numbers(cursor, value_type, 1, field)[0].item(), value_type
    cursor.refuse(f"{field}: value type", "0 to 12", value_type)


def _array(cursor: Cursor, field: str) -> tuple[Any, int]:
    """Read an array: a list of strings, or a NumPy array of numbers."""
    item_type = cursor.number("I", f"{field}: item type")
    count = cursor.number("Q", f"{field}: length")
    if item_type == STRING:
        return cursor.strings(count, field), STRING
    if item_type == _ARRAY:
        cursor.refuse(f"{field}: item type", "strings or numbers", "arrays")
    if item_type in _SCALARS:
        return _numbers(cursor, item_type, count, field), item_type
    cursor.refuse(f"{field}: item type", "0 to 12", item_type)


def _numbers(cursor: Cursor, item_type: int, count: int, field: str) -> NDArray[Any]:
    """Copy numbers from the file: (count,), read-only."""
    dtype = _SCALARS[item_type]
    raw = cursor.raw(count * dtype.itemsize, field)
    if dtype == np.bool_ and raw.translate(None, b"\0\1"):
        cursor.fail(field, "0 or 1", "another truth value")
    numbers = np.frombuffer(raw, dtype.newbyteorder(cursor.order)).astype(
        dtype, copy=False
    )
    numbers.flags.writeable = False
    return numbers


def _tensor(cursor: Cursor, index: int) -> TensorInfo:
    """Read one entry of the list; its offset is relative to the first weight."""
    name = cursor.name(f"tensor {index}: name", MAX_NAME_LENGTH)
    field = f"tensor {shown(name)}"
    n_dims = cursor.number("I", f"{field}: dimensions")
    if not 1 <= n_dims <= MAX_DIMS:
        cursor.fail(f"{field}: dimensions", f"1 to {MAX_DIMS}", n_dims)
    # the file lists the fastest size first
    shape = tuple(cursor.number("Q", f"{field}: shape") for _ in range(n_dims))[::-1]
    type_id = cursor.number("I", f"{field}: type")
    offset = cursor.number("Q", f"{field}: offset")
    try:
        ggml_type = GGMLType(type_id)
    except ValueError:
        supported = ", ".join(each.name for each in GGMLType)
        cursor.refuse(f"{field}: type", f"one of {supported}", type_name(type_id))
    if 0 in shape:
        cursor.fail(f"{field}: shape", "sizes of at least 1", shape)
    block_size = ggml_type.block_size
    if shape[-1] % block_size:
        wanted = f"rows of a multiple of {block_size} weights ({ggml_type.name})"
        cursor.fail(f"{field}: shape", wanted, shape)
    n_bytes = math.prod(shape) // block_size * ggml_type.type_size
    return TensorInfo(name, ggml_type, shape, offset, n_bytes)


def _place(
    cursor: Cursor, tensors: list[TensorInfo], metadata: dict[str, Any], size: int
) -> list[TensorInfo]:
    """Make offsets relative to the file's start; check that tensors do not overlap."""
    alignment = _alignment(cursor, metadata)
    start = -(-cursor.at // alignment) * alignment
    names: set[str] = set()
    placed = []
    for info in tensors:
        field = f"tensor {shown(info.name)}"
        if info.name in names:
            cursor.fail(field, "a name once", "the name twice")
        names.add(info.name)
        if info.offset % alignment:
            wanted = f"a multiple of the alignment {alignment}"
            cursor.fail(f"{field}: offset", wanted, info.offset)
        at = start + info.offset
        if at + info.n_bytes > size:
            _refuse_early(cursor, info, size - at)
            wanted = f"to end within the {max(0, size - start)} bytes of weights"
            found = f"{info.n_bytes} bytes at {info.offset}"
            cursor.fail(field, wanted, found)
        placed.append(replace(info, offset=at))
    ordered = sorted(placed, key=lambda info: info.offset)
    for one, other in pairwise(ordered):
        if one.offset + one.n_bytes > other.offset:
            _refuse_early(cursor, one, other.offset - one.offset)
            found = f"bytes shared with tensor {shown(one.name)}"
            cursor.fail(f"tensor {shown(other.name)}", "bytes of its own", found)
    return placed


def _refuse_early(cursor: Cursor, info: TensorInfo, room: int) -> None:
    """Refuse a tensor that fits into its bytes by the early layout of its type."""
    if info.type not in _EARLY_BLOCKS:
        return
    n_weights, n_bytes = _EARLY_BLOCKS[info.type]
    n_blocks, rest = divmod(math.prod(info.shape), n_weights)
    if rest or n_blocks * n_bytes > room:
        return
    block = f"{info.type.block_size} weights in {info.type.type_size} bytes"
    wanted = f"{info.type.name} as llama.cpp has it, {block}"
    found = f"an early type of PrismML's, {n_weights} weights in {n_bytes} bytes"
    cursor.refuse(f"tensor {shown(info.name)}: type", wanted, found)


def _alignment(cursor: Cursor, metadata: dict[str, Any]) -> int:
    key = "general.alignment"
    found = metadata.get(key, DEFAULT_ALIGNMENT)
    is_whole = isinstance(found, int) and not isinstance(found, bool)
    if not is_whole or not 8 <= found <= MAX_ALIGNMENT or found & (found - 1):
        cursor.fail(key, f"a power of two from 8 to {MAX_ALIGNMENT}", found)
    return int(found)
