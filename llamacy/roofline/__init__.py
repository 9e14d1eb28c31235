"""Measuring this machine's limits: memory bandwidth and peak arithmetic throughput.

Decoding is limited by memory bandwidth, prefill of a long prompt by arithmetic (the
roofline model: Williams, Waterman & Patterson 2009, doi:10.1145/1498765.1498785). Each
is measured alone, in several ways, for less than a second; the best result counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

from llamacy import kernels
from llamacy.errors import OutOfMemoryError
from llamacy.kernels import roofline
from llamacy.kernels.forking import usable_threads

# Ways to read: parallel streams, and the prefetch distance in bytes. The fastest
# combination differs from machine to machine.
_N_STREAMS = (1, 2, 4, 8)
_AHEAD = (0, 512, 1024, 2048, 4096)
_READ_SECONDS = 0.6
_PEAK_SECONDS = 0.2  # per operand type
_RUN_SECONDS = 0.01  # long enough to hide the start of the threads

# More than ten times the last-level cache of most CPUs, of at most 4 MiB per core.
_MOST_BYTES = 512 * 2**20
_MOST_BYTES_PER_THREAD = 64 * 2**20
_LEAST_BYTES = 8 * 2**20

# for a quick look, which most caches cannot hold either
_QUICK_BYTES = 256 * 2**20
_QUICK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Roofline:
    """The limits of one machine, for a number of threads and an instruction-set level.

    Attributes
    ----------
    read_bytes_per_second : float
        Bandwidth of reading the same `read_bytes` of memory again and again.
    read_bytes : int
        Size of the buffer that was read.
    ops_per_second : float
        Peak throughput of multiplications and additions, counted separately.
    operand : str
        Type of the operands: the one that the level multiplies fastest.
    """

    read_bytes_per_second: float
    read_bytes: int
    ops_per_second: float
    operand: str


def measure(n_threads: int, level: str, n_bytes: int) -> Roofline:
    """Measure this machine's limits.

    Parameters
    ----------
    n_threads : int
        Threads that read and compute.
    level : str
        Name of the instruction-set level that computes.
    n_bytes : int
        Bytes that the model reads per token. For a small model, a buffer of this size
        is read, so that a model that fits the caches is compared with the bandwidth of
        the caches; for a larger one, a buffer large enough to defeat them.

    Returns
    -------
    Roofline
        The limits.

    Raises
    ------
    CPUError
        This machine cannot run that level.
    OutOfMemoryError
        Not enough memory for the buffer.
    """
    n_threads = usable_threads(n_threads)
    read_bytes = _buffer_bytes(n_threads, n_bytes)
    ops_per_second, operand = _peak(n_threads, level)
    return Roofline(
        _read_bandwidth(n_threads, read_bytes), read_bytes, ops_per_second, operand
    )


def read_bandwidth(n_threads: int) -> float:
    """Measure how fast this machine reads memory that no cache holds, in about 1 s.

    Parameters
    ----------
    n_threads : int
        Threads that read.

    Returns
    -------
    float
        Bytes a second.

    Raises
    ------
    OutOfMemoryError
        Not enough memory for the buffer.
    """
    n_threads = usable_threads(n_threads)
    n_bytes = _buffer_bytes(n_threads, _QUICK_BYTES)
    return _read_bandwidth(n_threads, n_bytes, _QUICK_SECONDS)


def _buffer_bytes(n_threads: int, n_bytes: int) -> int:
    """Return the size of the buffer: whole blocks for any number of streams."""
    most = max(_MOST_BYTES, n_threads * _MOST_BYTES_PER_THREAD)
    chosen = max(min(n_bytes, most, _free_memory() // 4), _LEAST_BYTES)
    step = roofline.BLOCK * max(_N_STREAMS) * n_threads
    return -(-chosen // step) * step


def _read_bandwidth(
    n_threads: int, n_bytes: int, most_seconds: float = math.inf
) -> float:
    """Return the bytes per second of the fastest way to read `n_bytes`.

    All ways are tried, unless that takes longer than `most_seconds`.
    """
    try:
        # NumPy asks for huge pages, which the weights use too.
        data = np.empty(n_bytes, np.uint8)
    except MemoryError as error:
        raise OutOfMemoryError(f"no memory for a buffer of {n_bytes} bytes") from error
    roofline.fill(data, 1, n_threads)
    least = float("inf")
    begin = perf_counter()
    while perf_counter() - begin < _READ_SECONDS:
        for n_streams, ahead in product(_N_STREAMS, _AHEAD):
            start = perf_counter()
            if start - begin >= most_seconds:
                break
            roofline.read(data, n_streams, ahead, n_threads)
            least = min(least, perf_counter() - start)
    return n_bytes / least


def _peak(n_threads: int, level: str) -> tuple[float, str]:
    """Return the operations per second of a level's fastest operand type, and it."""
    table = kernels.load(level).table
    return max(
        (_ops_per_second(table, which, n_threads), operand)
        for which, operand in enumerate(roofline.operands(table))
    )


def _ops_per_second(table: object, which: int, n_threads: int) -> float:
    n_rounds, best = _rounds(table, which), 0.0
    end = perf_counter() + _PEAK_SECONDS
    while (start := perf_counter()) < end:
        n_ops = roofline.multiply(table, which, n_rounds, n_threads)
        best = max(best, n_ops / (perf_counter() - start))
    return best


def _rounds(table: object, which: int) -> int:
    """Return how many rounds make a run of `_RUN_SECONDS` of CPU time."""
    n_rounds, seconds = 1, 0.0
    while seconds < _RUN_SECONDS:
        n_rounds *= 2
        start = process_time()
        roofline.multiply(table, which, n_rounds, 1)
        seconds = process_time() - start
    return n_rounds


def _free_memory() -> int:
    """Return the bytes available without swapping, as Linux reports them."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 2**63
