"""Files of results: JSON lines, or Parquet, with the input's columns.

::

    lines     JSON lines
    parquet   Parquet, with pyarrow
    types     the types of JSON's columns in Parquet
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

from llamacy.errors import ArgumentError, ModelFileError
from llamacy.jobs.columns import ColumnTask
from llamacy.jobs.inputs import LINES, PARQUET, Input
from llamacy.jobs.ledger import Entry
from llamacy.jobs.packages import pyarrow_parquet
from llamacy.jobs.storage import Stored, stored
from llamacy.jobs.tasks import Task
from llamacy.printable import printable

_WANTED: Final = LINES + PARQUET


class Answered(NamedTuple):
    """An input, and the results of its first rows.

    Attributes
    ----------
    source : Input
        The input.
    task : Task
        The task that made the results.
    entries : iterator of Entry
        The results, in the order of the rows; there is none for rows behind.
    """

    source: Input
    task: Task
    entries: Iterator[Entry]


def check_same(source: Input, entry: Entry, check: int) -> None:
    """Check that a row is the one that was answered, by its checksum.

    Raises
    ------
    ArgumentError
        It is another.
    """
    if entry.check != check:
        raise ArgumentError(
            f"{printable(source.file.path)}: row {entry.index + 1} is another than the "
            "one that was answered: the file has changed since"
        )


class Write(Protocol):
    """Writes a file, given the path of a draft of it."""

    def __call__(self, draft: str, answered: Answered) -> None:
        """Write all results."""


def checked_target(path: str | os.PathLike[str], source: Stored, task: Task) -> Stored:
    """Return an output, checked to be of a form that can be written.

    Raises
    ------
    ArgumentError
        Its name has another ending, or it is the input.
    MissingPackageError
        It is a Parquet file or an object of a store, and pyarrow is not installed.
    ModelFileError
        Its folder or bucket does not exist.
    """
    target = stored("target", path)
    name = printable(target.path)
    if target.suffix not in _WANTED:
        wanted = ", ".join(_WANTED)
        raise ArgumentError(
            f"{name}: wanted a name that ends in {wanted}, for its form"
        )
    if target.suffix in PARQUET:
        if not isinstance(task, ColumnTask):
            raise ArgumentError(
                f"{name}: wanted a name that ends in .jsonl, the form of OpenAI's "
                "batches"
            )
        pyarrow_parquet()
    if target.is_same(source):
        raise ArgumentError(f"{name}: wanted another file than the input")
    target.check_writable()
    return target


def check_new(target: Stored, *, overwrite: bool) -> None:
    """Check that there is no output yet, or that it may be replaced.

    Raises
    ------
    ModelFileError
        There is, or the user may not know.
    """
    if overwrite:
        return
    try:
        exists = target.exists()
    except ModelFileError as error:
        if error.errno != errno.EACCES:
            raise
        reason = "may exist already, which your key may not see: have it overwritten"
        raise ModelFileError(errno.EACCES, reason, target.path) from error
    if exists:
        reason = "exists already: choose another name, or have it overwritten"
        raise ModelFileError(errno.EEXIST, reason, target.path)


def writer_of(target: Stored) -> Write:
    """Return the function that writes an output of a name's form."""
    if target.suffix in LINES:
        from llamacy.jobs.outputs.lines import write_lines

        return write_lines
    from llamacy.jobs.outputs.parquet import write_parquet

    return write_parquet
