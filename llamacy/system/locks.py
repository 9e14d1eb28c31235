"""Locks of files, which one process at a time has; its end frees them."""

from __future__ import annotations

import os
import sys
from typing import IO, Any, Final

_FAR: Final = 2**62  # beyond all contents: Windows locks bytes, and for reading, too


def try_lock(file: IO[Any]) -> bool:
    """Keep others from locking a file until it is closed.

    Parameters
    ----------
    file : file
        Open for writing.

    Returns
    -------
    bool
        False if another process, or another opening of the file, has the lock. True if
        the file system has no locks.
    """
    if sys.platform == "win32":
        import msvcrt

        before = file.tell()
        file.seek(_FAR)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            file.seek(before)
    else:
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            pass  # a file system without locks
    return True


def is_at(file: IO[Any], path: str) -> bool:
    """Whether an open file is still the one at a path, and was not removed."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except OSError:
        return False
