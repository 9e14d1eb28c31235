"""The part of Protocol Buffers' encoding that the sentencepiece library is given.

Source: https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from typing import Final

_ONE_BYTE: Final = [bytes([number]) for number in range(0x80)]


def message(field: int, data: bytes) -> bytes:
    """Encode a field of bytes: a text, or a message within another."""
    return b"%c%b%b" % (field << 3 | 2, varint(len(data)), data)


def varint(number: int) -> bytes:
    """Encode an integer, seven bits per byte, lowest first."""
    if number < 0x80:
        return _ONE_BYTE[number]
    return bytes([number & 0x7F | 0x80]) + varint(number >> 7)
