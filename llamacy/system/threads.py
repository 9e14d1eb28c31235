"""How many threads to compute with when the user has not said.

One per physical core: the kernels are bound by memory or keep a core's vector
units busy, and a second hardware thread only contends for both. Of the cores,
those the process may run on (its affinity), and no more than its cgroup's CPU quota
gives (containers): the threads wait for each other in every phase, so one that is
held back holds all back.

Knows Linux's files and macOS's sysctl; elsewhere counts logical CPUs.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from llamacy.arguments import checked_integer
from llamacy.system.cgroups import cgroup_folders, read_text

MAX_THREADS: Final = 1024
"""Most threads to ask for: more is a slip of the hand, and may exhaust the machine."""


def checked_threads(n_threads: int | None) -> int:
    """Return the argument `n_threads`; for None, `default_threads`.

    Raises
    ------
    ArgumentError
        Not an integer from 1 to `MAX_THREADS`.
    """
    if n_threads is None:
        n_threads = default_threads()
    return checked_integer("n_threads", n_threads, 1, MAX_THREADS)


def default_threads() -> int:
    """Threads to use: physical cores within the affinity and CPU quota; at least 1."""
    if sys.platform == "darwin":
        return _mac_cores() or os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = physical_cores(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota = cgroup_quota()
    if quota is not None:
        # Rounded down: threads beyond the quota make the kernel stop the whole
        # process for the rest of each scheduling period.
        cores = min(cores, int(quota))
    return max(cores, 1)


def physical_cores(cpus: Iterable[int], root: str = "/") -> int:
    """Count the cores that the logical CPUs `cpus` belong to.

    A CPU whose siblings the system (Linux, under `root`) does not tell counts as a
    core.
    """
    folder = Path(root, "sys/devices/system/cpu")
    cores = set()
    for cpu in cpus:
        siblings = read_text(folder / f"cpu{cpu}/topology/thread_siblings_list")
        cores.add(siblings or str(cpu))
    return len(cores)


def cgroup_quota(root: str = "/") -> float | None:
    """CPUs that the process's cgroups (Linux, version 1 or 2) let it use; None: all.

    Limits of the enclosing groups count too.
    """
    limits: list[float] = []
    for folder, version in cgroup_folders("cpu", root):
        limit = _quota_v1(folder) if version == 1 else _quota_v2(folder)
        if limit is not None:
            limits.append(limit)
    return min(limits, default=None)


def _quota_v2(folder: Path) -> float | None:
    """Read ``cpu.max``: microseconds to use and per how many, or ``max 100000``."""
    match read_text(folder / "cpu.max").split():
        case [quota, period] if quota != "max":
            return int(quota) / int(period)
    return None


def _quota_v1(folder: Path) -> float | None:
    """Read ``cpu.cfs_quota_us`` (-1: no limit) and ``cpu.cfs_period_us``."""
    quota = read_text(folder / "cpu.cfs_quota_us")
    period = read_text(folder / "cpu.cfs_period_us")
    if not quota or not period or int(quota) < 0:
        return None
    return int(quota) / int(period)


def _mac_cores() -> int:
    """Count performance cores; on a Mac with one kind, all; 0 if unknown."""
    libc = ctypes.CDLL(None)
    for name in (b"hw.perflevel0.physicalcpu", b"hw.physicalcpu"):
        value = ctypes.c_int(0)
        size = ctypes.c_size_t(ctypes.sizeof(value))
        if libc.sysctlbyname(name, ctypes.byref(value), ctypes.byref(size), None, 0):
            continue
        return value.value
    return 0
