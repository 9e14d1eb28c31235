"""JSON lines: a row a line; lines of nothing but spaces do not count."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO, Final

from llamacy.errors import ArgumentError
from llamacy.jobs.ordering import N_ROWS
from llamacy.jobs.rows import Row, parsed
from llamacy.jobs.storage import Stored
from llamacy.printable import printable
from llamacy.system.whole_files import file_errors

MAX_LINE: Final = 64 * 2**20
"""Bytes of the longest line that is read; a longer one has an error of its own."""

TOO_LONG: Final = f"more than {MAX_LINE // 2**20} MiB"

_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class LinesInput:
    """A file of JSON lines.

    Parameters
    ----------
    file : Stored
        The file.

    Attributes
    ----------
    file : Stored
        The file.
    size : int
        Its bytes.
    """

    def __init__(self, file: Stored) -> None:
        self.file = file
        self.size = file.size()

    def columns(self) -> list[str]:
        """Return the names of the fields of the first rows' objects, each once."""
        names: dict[str, None] = {}
        for row in islice(self.rows(None), N_ROWS):
            assert isinstance(row.content, bytes)
            try:
                names.update(dict.fromkeys(parsed(row.content)))
            except ArgumentError:  # the row's own
                continue
        return list(names)

    def rows(
        self, fields: tuple[str, ...] | None, *, whole: bool = False
    ) -> Iterator[Row]:
        """Yield its lines, which are whole whatever is wanted."""
        index = n_before = 0
        with file_errors(self.file.path), self.file.open() as data:
            for line, n_bytes in lines_of(data, self.file.path):
                n_before += n_bytes
                if line is not None and not line.strip():
                    continue
                if line is None:
                    yield Row.of(index, b"", n_before, TOO_LONG)
                else:
                    yield Row.of(index, line.strip(b" \t\r\n"), n_before)
                index, n_before = index + 1, 0


def lines_of(file: BinaryIO, path: str) -> Iterator[tuple[bytes | None, int]]:
    """Yield the lines of a file and their sizes; None for one that is too long.

    Raises
    ------
    ArgumentError
        The file is UTF-16, by its byte order mark.
    """
    is_first = True
    while line := file.readline(MAX_LINE):
        n_bytes = len(line)
        if is_first:
            if line.startswith(_UTF16):
                raise ArgumentError(f"{printable(path)}: wanted UTF-8, found UTF-16")
            line = line.removeprefix(codecs.BOM_UTF8)
            is_first = False
        if n_bytes < MAX_LINE or line.endswith(b"\n"):
            yield line, n_bytes
            continue
        del line
        while rest := file.readline(MAX_LINE):
            n_bytes += len(rest)
            if rest.endswith(b"\n"):
                break
        yield None, n_bytes
