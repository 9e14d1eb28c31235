"""Inputs and outputs by their names: files of this machine, and objects of stores.

::

    disk      files, by their paths
    objects   objects of S3 and Google Cloud Storage, by their addresses, with pyarrow
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from io import BufferedReader
from typing import Any, Final, Protocol

from llamacy.arguments import checked_path

_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class Stored(Protocol):
    """A file, or an object of a store.

    Attributes
    ----------
    path : str
        Its path or address, as people may see it.
    suffix : str
        The ending of its name, in small letters, which tells its form.
    """

    path: str
    suffix: str

    def check_readable(self) -> None:
        """Check that it can be read, any number of times.

        Raises
        ------
        ModelFileError
            It cannot be.
        """

    def check_writable(self) -> None:
        """Check that it can be written, as far as can be told.

        Raises
        ------
        ModelFileError
            It cannot be.
        """

    def exists(self) -> bool:
        """Whether there is one."""

    def is_same(self, other: Stored) -> bool:
        """Whether both have one name for the same contents."""

    def open(self) -> BufferedReader:
        """Open it for reading.

        Raises
        ------
        OSError
            It cannot be read; or, as ModelFileError, while it is read.
        """

    def size(self) -> int:
        """Return its bytes.

        Raises
        ------
        ModelFileError
            It does not exist.
        """

    def ledger_path(self) -> str:
        """Return the path of the ledger of a job that writes it."""

    def replace(self, write: Callable[[str], None], ledger: str) -> None:
        """Write it whole, or leave it as it is; it is there after a power cut.

        Parameters
        ----------
        write : callable
            Writes a draft, given its path.
        ledger : str
            Path of the ledger, whose job writes it; drafts of objects are beside it.

        Raises
        ------
        ModelFileError
            The disk is full, say.
        """


def stored(name: str, path: str | os.PathLike[str]) -> Stored:
    """Return the file or object of an argument.

    Parameters
    ----------
    name : str
        Name of the argument.
    path : str or os.PathLike
        A path, or an address such as ``"s3://bucket/in.jsonl"``.

    Raises
    ------
    ArgumentError
        It is neither.
    ModelFileError
        The store cannot be reached.
    MissingPackageError
        It is an address, and pyarrow is not installed.
    """
    found = checked_path(name, path)
    if is_address(found):
        from llamacy.jobs.storage.objects import StoredObject

        return StoredObject(name, found)
    from llamacy.jobs.storage.disk import StoredFile

    return StoredFile(os.path.expanduser(found))


def is_address(path: Any) -> bool:
    """Whether a path is an address, such as ``"s3://bucket/in.jsonl"``."""
    return isinstance(path, str) and _ADDRESS.match(path) is not None
