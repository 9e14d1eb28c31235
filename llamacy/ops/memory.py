"""Memory for the large arrays of every pass: weights, keys and values, buffers."""

from __future__ import annotations

import math
import mmap
from contextlib import suppress
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import OutOfMemoryError

_LINE: Final = 64  # bytes of a cache line


def large_pages(nbytes: int) -> NDArray[np.uint8]:
    """Return zeros, in large pages where the system has them: fewer TLB misses.

    The memory begins at a multiple of 4096 bytes, is taken from the system when it is
    first touched, and given back with the last array that uses it.

    Raises
    ------
    MemoryError
        The system does not have that much memory.
    """
    # private memory, since shared memory is rarely given large pages
    private = getattr(mmap, "MAP_PRIVATE", 0) | getattr(mmap, "MAP_ANONYMOUS", 0)
    options = {"flags": private} if private else {}
    try:
        memory = mmap.mmap(-1, max(nbytes, 1), **options)
    except (OSError, OverflowError) as error:
        raise MemoryError(f"no memory for {nbytes} bytes") from error
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # Linux can be built without them
            memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, np.uint8)


def zeros(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return zeros that begin with a cache line, and take memory as they are written.

    A vector across two lines takes twice as long to load. A buffer has a row for each
    token of the largest pass: texts with short prompts never touch most of it.

    Raises
    ------
    OutOfMemoryError
        The system does not have that much memory.
    """
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    try:
        memory = np.zeros(n_bytes + _LINE, np.uint8)
    except MemoryError as error:
        raise OutOfMemoryError(f"no memory for a buffer of {shape} values") from error
    first = -memory.ctypes.data % _LINE
    buffer: NDArray[Any] = memory[first : first + n_bytes].view(dtype)
    return buffer.reshape(shape)
