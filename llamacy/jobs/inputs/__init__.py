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
from pathlib import Path
from typing import Any, Final, Protocol

from llamacy.arguments import checked_path
from llamacy.errors import ArgumentError
from llamacy.jobs.rows import Row
from llamacy.printable import printable
from llamacy.system.whole_files import file_errors, regular_path

_END_BYTES: Final = 2**20  # of a file, from which its digest is made

LINES: Final = (".jsonl", ".ndjson")
CELLS: Final = (".csv", ".tsv")
PARQUET: Final = (".parquet",)


class Input(Protocol):
    """A file of rows, which may be read any number of times.

    Attributes
    ----------
    path : str
        The file.
    size : int
        Its size in the unit of `Row.n_bytes`.
    """

    path: str
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
        It is a Parquet file, and pyarrow is not installed.
    """
    name = os.path.expanduser(checked_path("source", path))
    suffix = Path(name).suffix.lower()
    if suffix not in LINES + CELLS + PARQUET:
        wanted = ", ".join(LINES + CELLS + PARQUET)
        raise ArgumentError(
            f"{printable(name)}: wanted a name that ends in {wanted}, for its form"
        )
    regular_path(name)  # not a pipe: it is read twice
    with file_errors(name), open(name, "rb"):
        found = _of_suffix(suffix, name)
    if next(found.rows(None), None) is None:
        raise ArgumentError(f"{printable(name)}: wanted at least one row, found none")
    return found


def _of_suffix(suffix: str, path: str) -> Input:
    if suffix in LINES:
        from llamacy.jobs.inputs.lines import LinesInput

        return LinesInput(path)
    if suffix in CELLS:
        from llamacy.jobs.inputs.cells import CellsInput

        return CellsInput(path, "\t" if suffix == ".tsv" else ",")
    from llamacy.jobs.inputs.parquet import ParquetInput

    return ParquetInput(path)


def identity_of(path: str) -> dict[str, Any]:
    """Return what tells a file from others: its size, and a digest of both ends.

    The rest is looked at row by row: a ledger has their checksums.
    """
    digest = hashlib.blake2b(digest_size=16)
    with file_errors(path), open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        digest.update(file.read(_END_BYTES))
        file.seek(max(0, size - _END_BYTES))
        digest.update(file.read(_END_BYTES))
    return {"size": size, "digest": digest.hexdigest()}
