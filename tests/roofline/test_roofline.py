"""The machine's limits: the memory read for them, and the figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from llamacy import kernels, roofline
from llamacy.errors import CPUError, OutOfMemoryError
from llamacy.kernels.levels import Level
from llamacy.kernels.roofline import operands

MIB = 2**20


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure one way to read, and each operand briefly: the figures do not matter."""
    monkeypatch.setattr(roofline, "_AHEAD", (512,))
    for name in ("_READ_SECONDS", "_PEAK_SECONDS", "_RUN_SECONDS"):
        monkeypatch.setattr(roofline, name, 0.001)


def test_all_limits_are_measured(level: Level) -> None:
    limits = roofline.measure(2, level.name, 3 * MIB)
    assert limits.read_bytes_per_second > 0
    assert limits.ops_per_second > 0
    assert limits.operand in operands(kernels.load(level.name).table)


def test_unavailable_levels_are_refused() -> None:
    with pytest.raises(CPUError, match="no such level"):
        roofline.measure(1, "sse2", MIB)


@pytest.mark.parametrize(
    ("n_threads", "of_model", "free", "want"),
    [
        (1, 1000, 2**40, 8 * MIB),
        (2, 100 * MIB, 2**40, 100 * MIB),
        (2, 7000 * MIB, 2**40, 512 * MIB),
        (96, 7000 * MIB, 2**40, 96 * 64 * MIB),
        (2, 7000 * MIB, 400 * MIB, 100 * MIB),
    ],
)
def test_the_buffer_to_read_is_sized_by_model_threads_and_free_memory(
    monkeypatch: pytest.MonkeyPatch,
    n_threads: int,
    of_model: int,
    free: int,
    want: int,
) -> None:
    monkeypatch.setattr(roofline, "_free_memory", lambda: free)
    assert want <= roofline._buffer_bytes(n_threads, of_model) < want + MIB


@pytest.mark.parametrize("n_threads", [1, 3, 7, 1000])
def test_the_buffer_is_split_evenly_among_threads(n_threads: int) -> None:
    n_bytes = roofline._buffer_bytes(n_threads, 12_345_678)
    assert n_bytes % (n_threads * max(roofline._N_STREAMS) * 256) == 0


def test_too_little_memory_raises_out_of_memory_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(np, "empty", fail)
    with pytest.raises(OutOfMemoryError, match="8388608 bytes"):
        roofline.measure(1, "scalar", 1)


@pytest.mark.skipif(
    not Path("/proc/meminfo").exists(), reason="asks Linux's /proc/meminfo"
)
def test_free_memory_is_at_most_the_machines_memory() -> None:
    import os

    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert MIB < roofline._free_memory() < total
