"""Files of this machine."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path

from llamacy.errors import ModelFileError
from llamacy.jobs.storage import Stored
from llamacy.system.whole_files import (
    file_errors,
    new_file,
    regular_path,
    sync_folder,
)


class StoredFile:
    """A file.

    Parameters
    ----------
    path : str
        Its path.

    Attributes
    ----------
    path : str
        Its path.
    suffix : str
        The ending of its name, in small letters.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.suffix = Path(path).suffix.lower()

    def check_readable(self) -> None:
        """Check that it is a file that can be read: no pipe, it is read twice."""
        regular_path(self.path)
        with file_errors(self.path), self.open():
            pass

    def check_writable(self) -> None:
        """Check that its folder exists."""
        folder = os.path.dirname(regular_path(self.path))
        if not os.path.isdir(folder):
            raise ModelFileError(errno.ENOENT, os.strerror(errno.ENOENT), folder)

    def exists(self) -> bool:
        """Whether there is one."""
        return os.path.exists(regular_path(self.path))

    def is_same(self, other: Stored) -> bool:
        """Whether both are one file, under whatever names."""
        if not isinstance(other, StoredFile):
            return False
        ours, theirs = (regular_path(each.path) for each in (self, other))
        if os.path.exists(ours) and os.path.exists(theirs):
            return os.path.samefile(ours, theirs)
        return ours == theirs

    def open(self) -> BufferedReader:
        """Open it for reading."""
        return open(self.path, "rb")

    def size(self) -> int:
        """Return its bytes."""
        with file_errors(self.path):
            return os.stat(self.path).st_size

    def ledger_path(self) -> str:
        """Return the path of a ledger beside it."""
        return f"{regular_path(self.path)}.part"

    def replace(self, write: Callable[[str], None], ledger: str) -> None:
        """Write it whole, or leave it as it is."""
        draft = draft_beside(regular_path(self.path), ledger)
        with (
            new_file(self.path, draft=draft) as draft,
            file_errors(self.path),
        ):
            write(draft)
        with file_errors(self.path):
            sync_folder(self.path)


def draft_beside(path: str, ledger: str) -> str:
    """Return the path of a draft, always the same for a file and a ledger.

    The job that has the ledger is the only one to write the draft, and finds the one
    that it left when it was killed.
    """
    folder, name = os.path.split(path)
    digest = hashlib.blake2b(digest_size=8)
    digest.update(os.fsencode(f"{name}\0{ledger}"))
    return os.path.join(folder, f"llamacy-{digest.hexdigest()}.part")
