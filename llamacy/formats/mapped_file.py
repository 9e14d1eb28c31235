"""Files mapped into memory for reading, whose pages can be released range by range."""

from __future__ import annotations

import errno
import mmap
import os
import stat
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import ClosedError, FormatError, ModelFileError


class MappedFile:
    """The bytes of a file, read from disk on first access.

    Parameters
    ----------
    path : Path
        A regular file.
    content : str
        The content that is wanted, for errors.

    Raises
    ------
    ModelFileError
        The path is missing, a folder or a device, or may not be read.
    FormatError
        The file is empty.
    """

    def __init__(self, path: Path, content: str = "a model") -> None:
        self.path = path
        self._map: mmap.mmap | None = _map(path, content)
        self.size = len(self._map)

    @property
    def data(self) -> mmap.mmap:
        """The mapping.

        Raises
        ------
        ClosedError
            The file was closed.
        """
        if self._map is None:
            raise ClosedError(f"{self.path}: used after it was closed")
        return self._map

    def view(self, offset: int, n_bytes: int) -> NDArray[np.uint8]:
        """Return bytes of the file without a copy: uint8, (n_bytes,), read-only.

        Raises
        ------
        ClosedError
            The file was closed.
        """
        return np.frombuffer(self.data, np.uint8, n_bytes, offset)

    def release(self, offset: int, n_bytes: int) -> None:
        """Drop the pages that lie wholly inside a range from this process's memory.

        The next access reads them from the file again.
        """
        if self._map is None or not hasattr(mmap, "MADV_DONTNEED"):
            return
        first = -(-offset // mmap.PAGESIZE) * mmap.PAGESIZE
        last = (offset + n_bytes) // mmap.PAGESIZE * mmap.PAGESIZE
        if last > first:
            with suppress(OSError):  # advice, which a file system may not take
                self._map.madvise(mmap.MADV_DONTNEED, first, last - first)

    def close(self) -> None:
        """Unmap the file; while arrays refer to it, it stays mapped until they go."""
        mapping, self._map = self._map, None
        if mapping is not None:
            try:
                mapping.close()
            except BufferError:
                pass  # unmapped when the last array that refers to it goes


def _map(path: Path, content: str) -> mmap.mmap:
    # without O_NONBLOCK, opening a pipe that has no writer would block forever
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags)
    except (OSError, ValueError) as error:
        raise _cannot_read(path, error) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            is_folder = stat.S_ISDIR(status.st_mode)
            code = errno.EISDIR if is_folder else errno.EINVAL
            kind = "a folder" if is_folder else "not a regular file"
            raise ModelFileError(code, f"wanted a file, found {kind}", str(path))
        if status.st_size == 0:
            raise FormatError(path, "file", content, "an empty file")
        return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError, OverflowError) as error:
        if isinstance(error, ModelFileError | FormatError):
            raise
        raise _cannot_read(path, error) from None
    finally:
        os.close(descriptor)


def _cannot_read(path: Path, error: Exception) -> ModelFileError:
    if not isinstance(error, OSError):  # such as a path with a zero byte
        return ModelFileError(errno.EINVAL, str(error), str(path))
    if os.path.isdir(path):  # on Windows the error is "permission denied"
        return ModelFileError(errno.EISDIR, "wanted a file, found a folder", str(path))
    return ModelFileError(error.errno, error.strerror, str(path))
