"""Rows of an input: a line, or fields by name."""

from __future__ import annotations

import base64
import datetime
import json
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from llamacy.arguments import short
from llamacy.errors import ArgumentError

Fields: TypeAlias = "Mapping[str, Any]"
"""Values by the names of their columns."""

Content: TypeAlias = "bytes | Fields"
"""A line without its end, or fields."""


class Row(NamedTuple):
    """A row of an input.

    Attributes
    ----------
    index : int
        Its position in the input, from 0, which tells it from all others.
    content : bytes or mapping
        A line, of JSON say; or its fields, of those columns that are read.
    n_bytes : int
        Its size in the input, to tell how much is done.
    check : int
        A checksum of the content.
    fault : str
        The reason why it cannot be read; empty for most.
    """

    index: int  # type: ignore[assignment]  # of the tuple
    content: Content
    n_bytes: int
    check: int
    fault: str = ""

    @classmethod
    def of(cls, index: int, content: Content, n_bytes: int = 1, fault: str = "") -> Row:
        """Make a row, with its checksum."""
        return cls(index, content, n_bytes, check_of(content), fault)


def check_of(content: Content) -> int:
    """Return the checksum of a row's content: CRC-32."""
    if isinstance(content, bytes):
        return zlib.crc32(content)
    return zlib.crc32(to_json({**content}).encode("utf-8", "surrogatepass"))


def size_of(content: Content) -> int:
    """Return about the bytes of a content."""
    if isinstance(content, bytes):
        return len(content)
    texts = (value for value in content.values() if isinstance(value, str | bytes))
    return sum(map(len, texts))


def fields_of(row: Row) -> Fields:
    """Return the fields of a row; a line's are those of its JSON object.

    Raises
    ------
    ArgumentError
        The row cannot be read, or is no JSON object.
    """
    if row.fault:
        raise ArgumentError(f"the row: {row.fault}")
    if isinstance(row.content, bytes):
        return parsed(row.content)
    return row.content


def known_fields(row: Row) -> Fields:
    """Return the fields of a row as far as they are known, whatever its fault."""
    if not isinstance(row.content, bytes):
        return row.content
    try:
        return fields_of(row)
    except ArgumentError:
        return {}


def parsed(line: bytes) -> dict[str, Any]:
    """Return the JSON object of a line.

    Raises
    ------
    ArgumentError
        It is not UTF-8, not JSON, or another value.
    """
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ArgumentError(f"the row: not UTF-8: {_byte(line, error)}") from None
    try:
        value = json.loads(text)
    except RecursionError:
        raise ArgumentError("the row: not JSON: nested too deeply") from None
    except ValueError as error:
        raise ArgumentError(f"the row: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ArgumentError(f"the row: wanted a JSON object, found {short(value)}")
    return value


def to_json(value: Any) -> str:
    """Return a value as JSON of one line; bytes, times and decimals as texts."""
    return json.dumps(value, ensure_ascii=False, default=_as_text)


def _byte(line: bytes, error: UnicodeDecodeError) -> str:
    return f"byte 0x{line[error.start]:02x} at {error.start}"


def _as_text(value: object) -> str:
    """Return the text of a value of Parquet that JSON lacks."""
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return str(value)
