"""The number of threads to compute with.

The default is one thread per physical core: the kernels are limited by memory bandwidth
or keep a core's vector units busy, and a second hardware thread would only compete for
both. Only cores in the process's affinity count, and no more than its cgroups' CPU
quota allows (in containers): threads wait for each other at every barrier, so a
throttled one delays them all.

`OMP_NUM_THREADS` is an upper bound of the default. Programs that run many processes on
one machine set it for each of them: Ray to an actor's CPUs, torchrun to 1. It says more
than the affinity, which they leave as it is.

Cores are counted from Linux's files, macOS's sysctl (performance cores alone, where
there are others) and Windows' GetLogicalProcessorInformationEx; where none of these
tells, logical CPUs are.
"""

from __future__ import annotations

import ctypes
import os
import re
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

from llamacy.arguments import checked_integer
from llamacy.system.cgroups import cgroup_folders, read_text

_MAX_THREADS = 1024  # a larger number is a mistake, and may exhaust the machine
_CORES = 0  # RelationProcessorCore of winnt.h


def checked_threads(n_threads: int | None) -> int:
    """Return the argument `n_threads`, or the default if it is None.

    Raises
    ------
    ArgumentError
        Not an integer from 1 to 1024.
    """
    if n_threads is None:
        n_threads = default_threads()
    return checked_integer("n_threads", n_threads, 1, _MAX_THREADS)


def default_threads() -> int:
    """Return the number of physical cores within all bounds; at least 1.

    The bounds are the affinity, the cgroups' quota, and `OMP_NUM_THREADS`.
    """
    cores, asked = _cores(), openmp_threads()
    return cores if asked is None else min(cores, asked)


def openmp_threads() -> int | None:
    """Return the threads that `OMP_NUM_THREADS` asks for; None if it does not.

    The first of a list such as ``"4,2"``, which is for nested regions, counts.
    """
    text = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if not re.fullmatch("[0-9]{1,9}", text):
        return None
    return int(text) or None


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        cores = physical_cores(os.sched_getaffinity(0))
    else:
        return system_cores() or os.cpu_count() or 1
    quota = cgroup_quota()
    if quota is not None:
        # Rounded down: if more threads run than the quota allows, the system stops the
        # whole process for the rest of each scheduling period.
        cores = min(cores, int(quota))
    return max(cores, 1)


def system_cores() -> int | None:
    """Return the physical cores as macOS or Windows counts them; None if unknown."""
    if sys.platform == "darwin":
        return _mac_cores()
    if sys.platform == "win32":
        return _windows_cores()
    return None


def physical_cores(cpus: Iterable[int], root: str = "/") -> int:
    """Return the number of physical cores of some logical CPUs.

    Parameters
    ----------
    cpus : Iterable of int
        Logical CPUs. One whose siblings Linux does not list counts as a core.
    root : str
        The root of the file system, for tests.
    """
    folder = Path(root, "sys/devices/system/cpu")
    cores = set()
    for cpu in cpus:
        siblings = read_text(folder / f"cpu{cpu}/topology/thread_siblings_list")
        cores.add(siblings or str(cpu))
    return len(cores)


def cgroup_quota(root: str = "/") -> float | None:
    """Return the process's CPU quota by its Linux cgroups and those enclosing them.

    Parameters
    ----------
    root : str
        The root of the file system, for tests.

    Returns
    -------
    float or None
        Number of CPUs; None without a limit.
    """
    limits: list[float] = []
    for folder, version in cgroup_folders("cpu", root):
        limit = _quota_v1(folder) if version == 1 else _quota_v2(folder)
        if limit is not None:
            limits.append(limit)
    return min(limits, default=None)


def _quota_v2(folder: Path) -> float | None:
    """Read `cpu.max`: quota and period in microseconds, or `max 100000`."""
    match read_text(folder / "cpu.max").split():
        case [quota, period] if quota != "max":
            return int(quota) / int(period)
    return None


def _quota_v1(folder: Path) -> float | None:
    """Read `cpu.cfs_quota_us` (-1: no limit) and `cpu.cfs_period_us`."""
    quota = read_text(folder / "cpu.cfs_quota_us")
    period = read_text(folder / "cpu.cfs_period_us")
    if not quota or not period or int(quota) < 0:
        return None
    return int(quota) / int(period)


def _mac_cores() -> int | None:
    """Return the number of performance cores, or of all if alike."""
    libc = ctypes.CDLL(None)
    for name in (b"hw.perflevel0.physicalcpu", b"hw.physicalcpu"):
        value = ctypes.c_int(0)
        size = ctypes.c_size_t(ctypes.sizeof(value))
        if libc.sysctlbyname(name, ctypes.byref(value), ctypes.byref(size), None, 0):
            continue
        return value.value or None
    return None


def _windows_cores() -> int | None:
    """Return the number of cores that Windows lets this process use."""
    if sys.platform == "win32":
        kernel32 = ctypes.WinDLL("kernel32")
        kernel32.GetCurrentProcess.restype = ctypes.c_void_p
        size, allowed, every = ctypes.c_uint32(), ctypes.c_size_t(), ctypes.c_size_t()
        kernel32.GetProcessAffinityMask(
            ctypes.c_void_p(kernel32.GetCurrentProcess()),
            ctypes.byref(allowed),
            ctypes.byref(every),
        )
        count_cores = kernel32.GetLogicalProcessorInformationEx
        count_cores(_CORES, None, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        if count_cores(_CORES, buffer, ctypes.byref(size)):
            return windows_cores(buffer.raw[: size.value], allowed.value) or None
    return None


def windows_cores(records: bytes, allowed: int) -> int:
    """Count the cores that a process may use, of those that Windows lists.

    Parameters
    ----------
    records : bytes
        SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX of each core (winnt.h).
    allowed : int
        The process's affinity, a bit for each logical CPU. It tells about one group of
        64, and does not count if there are more, or if it is 0.
    """
    masks: list[int] = []
    groups: set[int] = set()
    at = 0
    while at < len(records):
        _, n_bytes = struct.unpack_from("<II", records, at)
        (n_masks,) = struct.unpack_from("<H", records, at + 30)
        mask = 0
        for i in range(n_masks):
            part, group = struct.unpack_from("<QH", records, at + 32 + 16 * i)
            mask |= part
            groups.add(group)
        masks.append(mask)
        at += n_bytes
    if allowed == 0 or len(groups) > 1:
        return len(masks)
    return sum(mask & allowed != 0 for mask in masks)
