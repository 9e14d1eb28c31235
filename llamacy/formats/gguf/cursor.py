"""A cursor that reads the header of a GGUF file.

Each number is checked against the bytes available before it is used, so that a hostile
file costs no more time and memory than its size warrants.
"""

from __future__ import annotations

import mmap
import struct
from typing import Final, Literal, NoReturn

from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.gguf.string_array import StringArrayError, read_strings
from llamacy.formats.mapped_file import MappedFile
from llamacy.printable import shown

# Limits far beyond any real model, which keep a hostile file cheap to refuse.
MAX_HEADER: Final = 1 << 27  # bytes before the weights; the largest seen has 40 MB
MAX_STRINGS: Final = 1 << 22  # in all arrays of a file; the most seen are 0.8 million


class Cursor:
    """A position in the header, which every read advances.

    Parameters
    ----------
    file : MappedFile
        The file, read from its first byte to `MAX_HEADER` at most.

    Attributes
    ----------
    at : int
        Bytes before the position.
    order : str
        The order of the bytes of numbers: "<" for the lowest first, or ">".
    """

    def __init__(self, file: MappedFile) -> None:
        self.at = 0
        self.order: Literal["<", ">"] = "<"
        self._path = file.path
        self._data: mmap.mmap = file.data
        self._size = file.size
        self._end = min(file.size, MAX_HEADER)
        self._n_strings = 0

    def raw(self, n_bytes: int, field: str) -> bytes:
        """Read `n_bytes` bytes."""
        start = self._take(n_bytes, field)
        return self._data[start : self.at]

    def number(self, layout: str, field: str) -> int:
        """Read one number; `layout` is a format of `struct` without an order."""
        layout = self.order + layout
        start = self._take(struct.calcsize(layout), field)
        number: int = struct.unpack_from(layout, self._data, start)[0]
        return number

    def count(self, field: str, most: int, smallest: int) -> int:
        """Read the number of items, each of which takes at least `smallest` bytes."""
        found = self.number("Q", field)
        if found > most:
            self.fail(field, f"at most {most}", found)
        room = self._size - self.at
        if found * smallest > room:
            self.fail(field, f"room for {found}", f"{room} bytes before the end")
        return found

    def text(self, field: str, most: int = MAX_HEADER) -> str:
        """Read a string of at most `most` bytes."""
        length = self.number("Q", f"{field}: length")
        if length > most:
            self.fail(f"{field}: length", f"at most {most} bytes", length)
        try:
            return str(self.raw(length, field), "utf-8")
        except UnicodeDecodeError as error:
            self.fail(field, "UTF-8 text", f"{error.reason} at byte {error.start}")

    def name(self, field: str, most: int) -> str:
        """Read a string that must not be empty."""
        name = self.text(field, most)
        if not name:
            self.fail(field, "a name", "an empty one")
        return name

    def strings(self, count: int, field: str) -> list[str]:
        """Read `count` strings."""
        self._n_strings += count
        if self._n_strings > MAX_STRINGS:
            wanted = f"at most {MAX_STRINGS} strings in the metadata"
            self.fail(f"{field}: length", wanted, self._n_strings)
        try:
            strings, self.at = read_strings(
                self._data, self.at, count, self._end, self.order
            )
        except StringArrayError as error:
            self.fail(f"{field}[{error.index}]", error.wanted, error.found)
        return strings

    def fail(self, field: str, wanted: object, found: object) -> NoReturn:
        """Raise the error for a broken file."""
        raise FormatError(self._path, field, wanted, shown(found))

    def refuse(self, field: str, wanted: object, found: object) -> NoReturn:
        """Raise the error for a valid file that llamacy does not support."""
        raise UnsupportedError(self._path, field, wanted, shown(found))

    def _take(self, n_bytes: int, field: str) -> int:
        """Advance past `n_bytes` bytes; return the offset of the first one."""
        start = self.at
        if n_bytes > self._end - start:
            end = "the end of the file"
            if self._end < self._size:
                end = f"byte {self._end}, where the header must have ended"
            self.fail(field, f"{n_bytes} bytes", f"{self._end - start} before {end}")
        self.at = start + n_bytes
        return start
