"""What this machine can do at most, measured: the limits of any model's speed.

Decode is limited by how fast memory can be read, prefill of a long prompt by how fast
numbers can be multiplied (the roofline model: Williams, Waterman & Patterson 2009,
doi:10.1145/1498765.1498785). Both are measured by doing nothing else, in many ways, for
less than a second each; the best counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

from llamacy import kernels
from llamacy.errors import OutOfMemoryError
from llamacy.kernels import roofline
from llamacy.kernels.forking import usable_threads

# Ways to read: streams side by side, and bytes that are fetched ahead in each. Which is
# the fastest differs from machine to machine.
_N_STREAMS = (1, 2, 4, 8)
_AHEAD = (0, 512, 1024, 2048, 4096)
_READ_SECONDS = 0.6
_PEAK_SECONDS = 0.2  # for each type of operand
_RUN_SECONDS = 0.01  # a run this long hides the start of its threads

# More than ten times the last-level cache of most CPUs, which have up to 4 MiB a core.
_MOST_BYTES = 512 * 2**20
_MOST_BYTES_PER_THREAD = 64 * 2**20
_LEAST_BYTES = 8 * 2**20


@dataclass(frozen=True, slots=True)
class Roofline:
    """The limits of one machine, with the threads and the level they were measured at.

    Attributes
    ----------
    read_bytes_per_second : float
        Throughput of reading `read_bytes` of memory again and again.
    read_bytes : int
        Bytes that were read.
    ops_per_second : float
        Multiplications and additions.
    operand : str
        Type of their operands, which the level multiplies fastest: ``"int8"``.
    """

    read_bytes_per_second: float
    read_bytes: int
    ops_per_second: float
    operand: str


def measure(n_threads: int, level: str, n_bytes: int) -> Roofline:
    """Measure what this machine can do at most.

    Parameters
    ----------
    n_threads : int
        Threads that read and compute.
    level : str
        Name of the instruction-set level that computes.
    n_bytes : int
        Bytes that a model reads for a token. The same number is read here if it is
        small, so that a model which fits into the caches is compared with reading them;
        for larger models, enough for the caches not to matter.

    Raises
    ------
    CPUError
        This machine cannot run that level.
    OutOfMemoryError
        There is no memory to read.
    """
    n_threads = usable_threads(n_threads)
    read_bytes = _buffer_bytes(n_threads, n_bytes)
    ops_per_second, operand = _peak(n_threads, level)
    return Roofline(
        _read_bandwidth(n_threads, read_bytes), read_bytes, ops_per_second, operand
    )


def _buffer_bytes(n_threads: int, n_bytes: int) -> int:
    """Choose how much to read: whole blocks in every way to read."""
    most = max(_MOST_BYTES, n_threads * _MOST_BYTES_PER_THREAD)
    chosen = max(min(n_bytes, most, _free_memory() // 4), _LEAST_BYTES)
    step = roofline.BLOCK * max(_N_STREAMS) * n_threads
    return -(-chosen // step) * step


def _read_bandwidth(n_threads: int, n_bytes: int) -> float:
    """Bytes per second of reading `n_bytes` in the fastest way."""
    try:
        # NumPy asks for large pages, as the weights have them.
        data = np.empty(n_bytes, np.uint8)
    except MemoryError as error:
        raise OutOfMemoryError(f"no memory to read {n_bytes} bytes of") from error
    roofline.fill(data, 1, n_threads)
    least = float("inf")
    end = perf_counter() + _READ_SECONDS
    while perf_counter() < end:
        for n_streams, ahead in product(_N_STREAMS, _AHEAD):
            start = perf_counter()
            roofline.read(data, n_streams, ahead, n_threads)
            least = min(least, perf_counter() - start)
    return n_bytes / least


def _peak(n_threads: int, level: str) -> tuple[float, str]:
    """Operations per second of the fastest kind that a level has, and its operand."""
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
    """Count the rounds that take one thread long enough, whatever else is running."""
    n_rounds, seconds = 1, 0.0
    while seconds < _RUN_SECONDS:
        n_rounds *= 2
        start = process_time()
        roofline.multiply(table, which, n_rounds, 1)
        seconds = process_time() - start
    return n_rounds


def _free_memory() -> int:
    """Return the bytes a program may take without swapping, as Linux tells them."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 2**63
