"""Limits of a machine: its memory, and a level's arithmetic, on all threads at once.

These functions do the work; `llamacy.roofline` takes the time.
"""

from cpython.pycapsule cimport PyCapsule_GetPointer
from cython.parallel cimport prange

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memset

from llamacy.kernels.interface cimport kernel_table


cdef extern from "roofline.h" nogil:
    enum:
        READ_BLOCK

    uint64_t read_streams(
        const uint8_t* data, size_t stream, int n_streams, size_t ahead)


BLOCK = READ_BLOCK
"""Bytes; a thread reads a multiple of them in each stream."""


def fill(uint8_t[::1] data, int value, int n_threads):
    """Write `value` to all of `data`, each thread to the slice that it reads."""
    cdef size_t share = slice_bytes(data.nbytes, 1, n_threads)
    cdef int i
    for i in prange(n_threads, num_threads=n_threads, schedule="static", nogil=True):
        memset(&data[i * share], value, share)


def read(const uint8_t[::1] data, int n_streams, size_t ahead, int n_threads):
    """Read all of `data`; return the sum of its 64-bit words.

    Parameters
    ----------
    data : uint8, (n_bytes,)
        Memory to read; n_bytes a multiple of BLOCK * n_streams * n_threads.
    n_streams : int
        Stretches of its slice that a thread reads side by side.
    ahead : int
        Bytes of a stream between the prefetched line and the one read.
    n_threads : int
        Threads to use, each on a slice of its own.

    Raises
    ------
    ValueError
        `data` has another size.
    """
    cdef size_t share = slice_bytes(data.nbytes, n_streams, n_threads)
    cdef uint64_t total = 0
    cdef int i
    for i in prange(n_threads, num_threads=n_threads, schedule="static", nogil=True):
        total += read_streams(&data[i * share], share // n_streams, n_streams, ahead)
    return total


cdef size_t slice_bytes(size_t nbytes, int n_streams, int n_threads) except 0:
    """Return the bytes of one thread's slice."""
    cdef size_t step = READ_BLOCK * n_streams * n_threads
    if nbytes < step or nbytes % step:
        raise ValueError(f"data: wanted a multiple of {step} bytes, found {nbytes}")
    return nbytes // n_threads


def operands(capsule):
    """Return the types that a level's kernels multiply, as `multiply` counts them."""
    cdef const kernel_table* table = table_of(capsule)
    names = []
    while table.peaks[len(names)].operand:
        names.append(table.peaks[len(names)].operand.decode("ascii"))
    return tuple(names)


def multiply(capsule, int which, int64_t n_rounds, int n_threads):
    """Multiply and add on registers; return how many operations that was.

    Parameters
    ----------
    capsule : object
        The table of a level.
    which : int
        Index of an operand type, of those that `operands` returns.
    n_rounds : int
        Rounds of a few products that each thread does.
    n_threads : int
        Threads to use.

    Raises
    ------
    ValueError
        `which` is not an index.
    """
    cdef const kernel_table* table = table_of(capsule)
    cdef double total = 0
    cdef int _i
    if not 0 <= which < len(operands(capsule)):
        raise ValueError(f"which: wanted one of {operands(capsule)}, found {which}")
    for _i in prange(n_threads, num_threads=n_threads, schedule="static", nogil=True):
        table.enter_thread()
        total += table.peaks[which].work(n_rounds)
        table.leave_thread()
    return total


cdef const kernel_table* table_of(capsule) except NULL:
    return <const kernel_table*>PyCapsule_GetPointer(capsule, "llamacy.kernel_table")
