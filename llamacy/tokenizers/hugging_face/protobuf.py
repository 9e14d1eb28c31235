"""The part of Protocol Buffers' encoding that SentencePiece files use.

Source: https://protobuf.dev/programming-guides/encoding/. Lengths are checked against
the bytes available.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED: Final = {_FIXED64: 8, _FIXED32: 4}
_MAX_VARINT: Final = 10  # bytes


class ProtobufError(ValueError):
    """The bytes are not a valid message."""


def read_message(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the fields of a message: field number and value.

    The value of a varint is an int; others, including numbers of fixed size, are bytes.

    Raises
    ------
    ProtobufError
        The message is broken.
    """
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        field, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            number, at = _varint(data, at)
            yield field, number
            continue
        if kind == _BYTES:
            length, at = _varint(data, at)
        elif kind in _FIXED:
            length = _FIXED[kind]
        else:
            raise ProtobufError(f"field {field} of the unknown wire type {kind}")
        if length > len(data) - at:
            raise ProtobufError(
                f"{length} bytes in field {field}, {len(data) - at} left"
            )
        yield field, data[at : at + length]
        at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Read a varint, seven bits per byte, lowest first; return it and the end."""
    number = 0
    for i, byte in enumerate(data[at : at + _MAX_VARINT]):
        number |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return number, at + i + 1
    raise ProtobufError("a varint of more than ten bytes, or cut off")
