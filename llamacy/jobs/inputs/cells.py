"""CSV: a row of cells, under a row with the names of the columns."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any, BinaryIO

from llamacy.errors import FormatError
from llamacy.jobs.inputs.lines import MAX_LINE, TOO_LONG, lines_of
from llamacy.jobs.rows import Row, check_of
from llamacy.jobs.storage import Stored
from llamacy.system.whole_files import file_errors


class CellsInput:
    """A file of cells, all of which are texts.

    Parameters
    ----------
    file : Stored
        The file.
    separator : str
        The character between cells.

    Attributes
    ----------
    file : Stored
        The file.
    size : int
        Its bytes.
    """

    def __init__(self, file: Stored, separator: str) -> None:
        self.file = file
        self._separator = separator
        self.size = file.size()
        with file_errors(file.path), file.open() as data:
            self._names = self._header(_Cells(data, file.path, separator))

    def columns(self) -> list[str]:
        """Return the names in the first row."""
        return list(self._names)

    def rows(
        self, fields: tuple[str, ...] | None, *, whole: bool = False
    ) -> Iterator[Row]:
        """Yield its rows of cells; a row with too few or too many has a fault."""
        wanted = self._names if fields is None else fields
        index = 0
        with file_errors(self.file.path), self.file.open() as data:
            cells = _Cells(data, self.file.path, self._separator)
            self._header(cells)
            for values, fault in cells:
                if values == []:  # an empty line
                    continue
                if not fault and len(values) != len(self._names):
                    fault = f"wanted {len(self._names)} cells, found {len(values)}"
                found: dict[str, Any] = dict.fromkeys(self._names)
                found.update(zip(self._names, values, strict=False))
                read = {name: found[name] for name in wanted}
                check = check_of(read)
                content = found if whole else read
                yield Row(index, content, cells.taken(), check, fault)
                index += 1

    def _header(self, cells: _Cells) -> list[str]:
        names, fault = next(cells, ([], ""))
        if fault or len(set(names)) < len(names):
            wanted = "different names of columns"
            raise FormatError(self.file.path, "the first row", wanted, fault or names)
        return names


class _Cells(Iterator[tuple[list[str], str]]):
    """The rows of a file, each with a fault, which is empty for most.

    Bytes that are not UTF-8 become halves of surrogates.
    """

    def __init__(self, file: BinaryIO, path: str, separator: str) -> None:
        self._n_read = self._n_taken = 0
        self._fault = ""
        lines = self._lines(file, path)
        self._reader = csv.reader(lines, delimiter=separator)

    def __next__(self) -> tuple[list[str], str]:
        # the module's limit, of 128 KiB, is that of all its readers
        before = csv.field_size_limit(MAX_LINE)
        try:
            values = next(self._reader)
            fault, self._fault = self._fault, ""
            return ([""], fault) if fault else (values, "")
        except csv.Error as error:
            return [""], str(error)
        finally:
            csv.field_size_limit(before)

    def taken(self) -> int:
        """Return the bytes that were read since the last time."""
        n = self._n_read - self._n_taken
        self._n_taken = self._n_read
        return n

    def _lines(self, file: BinaryIO, path: str) -> Iterator[str]:
        for line, n_bytes in lines_of(file, path):
            self._n_read += n_bytes
            if line is None:
                self._fault, line = TOO_LONG, b""
            yield line.decode("utf-8", "surrogateescape")
