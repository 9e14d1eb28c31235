"""The speed at which a file is read from its disk, past the system's cache."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from time import perf_counter
from typing import Final

_BLOCK: Final = 4 * 2**20
_SECONDS: Final = 0.3
_MOST_BYTES: Final = 512 * 2**20


def free_bytes(path: Path) -> int:
    """Return the free bytes of the disk on which a folder is, or will be.

    Raises
    ------
    OSError
        The disk cannot be asked.
    """
    import shutil

    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


def read_speed(path: Path) -> float | None:
    """Read a file's beginning for about 0.3 s, without the system's cache.

    Only Linux can read so (O_DIRECT, open(2)), and not from every file system.

    Parameters
    ----------
    path : Path
        A file, the larger the better.

    Returns
    -------
    float or None
        Bytes a second; None if it cannot be told.
    """
    if not hasattr(os, "O_DIRECT") or not hasattr(os, "preadv"):
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECT)
    except OSError:
        return None
    try:
        return _read(descriptor)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> float | None:
    done, start = 0, perf_counter()
    with mmap.mmap(-1, _BLOCK) as block:  # a page's address is aligned as needed
        while done < _MOST_BYTES and perf_counter() - start < _SECONDS:
            n_bytes = os.preadv(descriptor, [block], done)
            done += n_bytes
            if n_bytes < _BLOCK:
                break
    seconds = perf_counter() - start
    return done / seconds if done >= _BLOCK else None
