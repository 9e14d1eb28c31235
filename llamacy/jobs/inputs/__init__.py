"""Files of rows: JSON lines, CSV and Parquet.

::

    lines     JSON lines
    cells     CSV, and values between tabs
    parquet   Parquet, with pyarrow
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import Any, Final, Protocol

from llamacy.errors import ArgumentError
from llamacy.jobs.rows import Row
from llamacy.jobs.storage import Stored, stored
from llamacy.printable import printable
from llamacy.system.whole_files import file_errors

_END_BYTES: Final = 2**20  # of a file, from which its digest is made

LINES: Final = (".jsonl", ".ndjson")
CELLS: Final = (".csv", ".tsv")
PARQUET: Final = (".parquet",)


class Input(Protocol):
    """A file of rows, which may be read any number of times.

    Attributes
    ----------
    file : Stored
        The file.
    size : int
        Its size in the unit of `Row.n_bytes`.
    """

    file: Stored
    size: int

    def columns(self) -> list[str]:
        """Return the names of its columns, as far as its beginning tells them."""

    def rows(
        self, fields: tuple[str, ...] | None, *, whole: bool = False
    ) -> Iterator[Row]:
        """Yield its rows from the beginning.

        Parameters
        ----------
        fields : tuple of str or None
            The columns that are wanted, and that checksums are of. None: whole lines.
        whole : bool, default False
            Whether the rows have all columns.
        """


def open_input(path: str | os.PathLike[str]) -> Input:
    """Return the input of a file, by its name's ending; it has a row at least.

    Raises
    ------
    ArgumentError
        A name with another ending, or no rows.
    ModelFileError
        The file cannot be read.
    FormatError
        It is broken.
    MissingPackageError
        It is a Parquet file or an object of a store, and pyarrow is not installed.
    """
    file = stored("source", path)
    name = file.path
    if file.suffix not in LINES + CELLS + PARQUET:
        wanted = ", ".join(LINES + CELLS + PARQUET)
        raise ArgumentError(
            f"{printable(name)}: wanted a name that ends in {wanted}, for its form"
        )
    file.check_readable()
    found = _of_suffix(file)
    if next(found.rows(None), None) is None:
        raise ArgumentError(f"{printable(name)}: wanted at least one row, found none")
    return found


def _of_suffix(file: Stored) -> Input:
    if file.suffix in LINES:
        from llamacy.jobs.inputs.lines import LinesInput

        return LinesInput(file)
    if file.suffix in CELLS:
        from llamacy.jobs.inputs.cells import CellsInput

        return CellsInput(file, "\t" if file.suffix == ".tsv" else ",")
    from llamacy.jobs.inputs.parquet import ParquetInput

    return ParquetInput(file)


def identity_of(file: Stored) -> dict[str, Any]:
    """Return what tells a file from others: its size, and a digest of both ends.

    The rest is looked at row by row: a ledger has their checksums.
    """
    digest = hashlib.blake2b(digest_size=16)
    with file_errors(file.path), file.open() as data:
        size = data.seek(0, os.SEEK_END)
        data.seek(0)
        digest.update(data.read(_END_BYTES))
        data.seek(max(0, size - _END_BYTES))
        digest.update(data.read(_END_BYTES))
    return {"size": size, "digest": digest.hexdigest()}
