"""The texts of a file, one a line: lines themselves, or a field of JSON objects."""

from __future__ import annotations

import codecs
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from llamacy.cli.failures import UsageError
from llamacy.errors import LlamacyError, placed
from llamacy.printable import printable
from llamacy.system.whole_files import file_errors

_JSON_LINES = (".jsonl", ".ndjson")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Line(NamedTuple):
    """A text, and its place.

    Attributes
    ----------
    number : int
        Number of the line, from 1.
    text : str
        The text.
    share : float
        Share of the file up to its end, 0.0 if that is not known.
    """

    number: int
    text: str
    share: float


class TextLines:
    """The texts of a file, read line by line; an empty line is an empty text.

    Parameters
    ----------
    file : Path
        The file; `-` is standard input.
    column : str or None
        The field that has the text, if lines are JSON objects.

    Raises
    ------
    UsageError
        The file's name says that lines are JSON, and no field is named.
    """

    def __init__(self, file: Path, column: str | None) -> None:
        self._is_pipe = str(file) == "-"
        self._path = Path(os.path.expanduser(file))
        self._column = column
        self.name = "standard input" if self._is_pipe else str(file)
        if column is None and self._path.suffix.lower() in _JSON_LINES:
            raise UsageError(f"{self.name}: --column names the field with the text")

    def place(self, number: int) -> str:
        """Return the name of a line, for errors."""
        return f"{printable(self.name)}, line {number}"

    @contextmanager
    def named(self, some: Sequence[Line]) -> Iterator[None]:
        """Name the line that an error in the block is about, by its index in `some`."""
        try:
            yield
        except LlamacyError as error:
            if error.index is None:
                raise
            place = self.place(some[error.index].number)
            raise placed(error, place, error.index) from None

    def __iter__(self) -> Iterator[Line]:
        with self._opened() as source:
            n_bytes = 0 if self._is_pipe else os.fstat(source.fileno()).st_size
            n_read = 0
            for number, data in enumerate(self._lines(source), 1):
                n_read += len(data)
                share = n_read / n_bytes if n_bytes else 0.0
                yield Line(number, self._text(data, number), min(1.0, share))

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        if self._is_pipe:
            yield sys.stdin.buffer
            return
        with file_errors(self._path):
            source = open(self._path, "rb")  # noqa: SIM115 -- closed below
        with source:
            yield source

    def _lines(self, source: BinaryIO) -> Iterator[bytes]:
        with file_errors(self._path):
            yield from source

    def _text(self, data: bytes, number: int) -> str:
        if number == 1:
            if data.startswith(_UTF16):
                raise UsageError(f"{self.name}: wanted UTF-8, found UTF-16")
            data = data.removeprefix(codecs.BOM_UTF8)
        data = data.removesuffix(b"\n").removesuffix(b"\r")
        try:
            line = data.decode("utf-8")
        except UnicodeDecodeError as error:
            found = f"byte 0x{data[error.start]:02x} at {error.start}"
            raise UsageError(f"{self.place(number)}: not UTF-8: {found}") from None
        return line if self._column is None else self._field(line, number)

    def _field(self, line: str, number: int) -> str:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{self.place(number)}: not JSON: {error}") from None
        text = value.get(self._column) if isinstance(value, dict) else None
        if not isinstance(text, str):
            wanted = f"an object with a text as {self._column!r}"
            raise UsageError(f"{self.place(number)}: wanted {wanted}")
        return text
