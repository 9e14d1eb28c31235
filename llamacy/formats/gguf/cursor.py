"""A place in the header of a GGUF file that moves on as the header is read.

Each number is checked against the bytes there are before it is used, so a hostile
file costs no more time and memory than its own size warrants.
"""

from __future__ import annotations

import mmap
import struct
from typing import Final, NoReturn

from llamacy.errors import FormatError, UnsupportedError, shown
from llamacy.formats.gguf.string_array import StringArrayError, read_strings
from llamacy.formats.mapped_file import MappedFile

# Limits far beyond any real model, which keep a hostile file cheap to refuse.
MAX_HEADER: Final = 1 << 27  # bytes before the weights; 40 MB is the most seen
MAX_STRINGS: Final = 1 << 22  # in all arrays of a file; 0.8 million is the most seen


class Cursor:
    """A place in the header; whatever is read moves it on.

    Parameters
    ----------
    file : read from its first byte on, no further than `MAX_HEADER`.
    """

    def __init__(self, file: MappedFile) -> None:
        self.at = 0
        self._path = file.path
        self._data: mmap.mmap = file.data
        self._size = file.size
        self._end = min(file.size, MAX_HEADER)
        self._n_strings = 0

    def raw(self, n_bytes: int, field: str) -> bytes:
        """Read bytes that must be there."""
        start = self._take(n_bytes, field)
        return self._data[start : self.at]

    def number(self, layout: str, field: str) -> int:
        """Read one number; `layout` is that of :mod:`struct`."""
        start = self._take(struct.calcsize(layout), field)
        number: int = struct.unpack_from(layout, self._data, start)[0]
        return number

    def count(self, field: str, most: int, smallest: int) -> int:
        """Read how many there are of something that takes `smallest` bytes each."""
        found = self.number("<Q", field)
        if found > most:
            self.fail(field, f"at most {most}", found)
        room = self._size - self.at
        if found * smallest > room:
            self.fail(field, f"room for {found}", f"{room} bytes before the end")
        return found

    def text(self, field: str, most: int = MAX_HEADER) -> str:
        """Read a string of at most `most` bytes."""
        length = self.number("<Q", f"{field}: length")
        if length > most:
            self.fail(f"{field}: length", f"at most {most} bytes", length)
        try:
            return str(self.raw(length, field), "utf-8")
        except UnicodeDecodeError as error:
            self.fail(field, "UTF-8 text", f"{error.reason} at byte {error.start}")

    def name(self, field: str, most: int) -> str:
        """Read a string that may not be empty."""
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
            strings, self.at = read_strings(self._data, self.at, count, self._end)
        except StringArrayError as error:
            self.fail(f"{field}[{error.index}]", error.wanted, error.found)
        return strings

    def fail(self, field: str, wanted: object, found: object) -> NoReturn:
        """Raise the error for something broken."""
        raise FormatError(self._path, field, wanted, shown(found))

    def refuse(self, field: str, wanted: object, found: object) -> NoReturn:
        """Raise the error for something sound that is not read here."""
        raise UnsupportedError(self._path, field, wanted, shown(found))

    def _take(self, n_bytes: int, field: str) -> int:
        """Move past `n_bytes` that must be there, and say where they begin."""
        start = self.at
        if n_bytes > self._end - start:
            end = "the end of the file"
            if self._end < self._size:
                end = f"byte {self._end}, where the header must have ended"
            self.fail(field, f"{n_bytes} bytes", f"{self._end - start} before {end}")
        self.at = start + n_bytes
        return start
