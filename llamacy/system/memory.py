"""The memory that this process can still allocate.

It is an upper bound: cached files and free swap count as available, so that a larger
allocation is certain to fail. If the system does not state it, no allocation should be
refused.

=======  =============================================================================
Linux    `MemAvailable` and `SwapFree` of `/proc/meminfo` (proc(5)), and what remains
         of the limits of the process's cgroups, version 1 or 2 (cgroups(7))
macOS    `hw.memsize`, all physical memory (sysctl(3)): idle pages are compressed and
         swapped to files that grow
Windows  `ullAvailPageFile` of `GlobalMemoryStatusEx`: the memory that can be committed
=======  =============================================================================
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from llamacy.system.cgroups import cgroup_folders, read_text

_PROCESS_BYTES: Final = 64 * 2**20
_TOKEN_BYTES: Final = 320


def process_bytes(n_vocab: int) -> int:
    """Estimate the memory of a process that has loaded a model, in bytes.

    It is the memory of Python, its libraries, spare pages of the KV cache, and the
    vocabulary, beside the weights, the KV cache and the buffers of a pass.

    Parameters
    ----------
    n_vocab : int
        Number of tokens in the vocabulary.
    """
    return _PROCESS_BYTES + n_vocab * _TOKEN_BYTES


def available_memory(root: str = "/") -> int | None:
    """Return the memory that this process can still allocate.

    Parameters
    ----------
    root : str
        The root of Linux's file system, for tests.

    Returns
    -------
    int or None
        Bytes; None if unknown.
    """
    try:
        if sys.platform == "darwin":
            return _mac_memory()
        if sys.platform == "win32":
            return _windows_commit()
        return _linux_memory(root)
    except (OSError, ValueError, AttributeError):  # unexpected files or calls
        return None


@dataclass(frozen=True, slots=True)
class MemoryState:
    """The memory of this machine, for people.

    Attributes
    ----------
    total : int or None
        Physical memory, in bytes; None if unknown.
    limit : int or None
        The least limit of the process's cgroups, such as its container's, in bytes;
        None without a limit.
    available : int or None
        As `available_memory` returns it.
    swap_used : int
        Bytes of other data that are swapped out.
    """

    total: int | None
    limit: int | None
    available: int | None
    swap_used: int


def memory_state(root: str = "/") -> MemoryState:
    """Return how much memory there is, and who limits it.

    Parameters
    ----------
    root : str
        The root of Linux's file system, for tests.
    """
    available = available_memory(root)
    try:
        if sys.platform == "darwin":
            return MemoryState(available, None, available, 0)
        if sys.platform == "win32":
            return MemoryState(_windows_total(), None, available, 0)
        meminfo = _fields(Path(root, "proc/meminfo"))  # in KiB
        total = meminfo.get("MemTotal")
        swap_used = meminfo.get("SwapTotal", 0) - meminfo.get("SwapFree", 0)
        return MemoryState(
            total=None if total is None else 1024 * total,
            limit=_cgroup_limit(root, total),
            available=available,
            swap_used=1024 * swap_used,
        )
    except (OSError, ValueError, AttributeError):  # unexpected files or calls
        return MemoryState(None, None, available, 0)


def _cgroup_limit(root: str, total: int | None) -> int | None:
    """Return the least limit below `total` KiB, in bytes; None without one."""
    limits = []
    for folder, version in cgroup_folders("memory", root):
        name = "memory.limit_in_bytes" if version == 1 else "memory.max"
        if (limit := _number(folder / name)) is not None:
            limits.append(limit)
    least = min(limits, default=None)
    # version 1 writes a number beyond all memory where there is no limit
    is_real = least is not None and (total is None or least < 1024 * total)
    return least if is_real else None


def _linux_memory(root: str) -> int | None:
    meminfo = _fields(Path(root, "proc/meminfo"))  # in KiB
    if "MemAvailable" not in meminfo:
        return None
    swap = 1024 * meminfo.get("SwapFree", 0)
    available = [1024 * meminfo["MemAvailable"] + swap]
    for folder, version in cgroup_folders("memory", root):
        available_of = _available_v1 if version == 1 else _available_v2
        found = available_of(folder, swap)
        if found is not None:
            available.append(found)
    return max(0, min(available))


def _available_v2(folder: Path, swap: int) -> int | None:
    """Return the bytes that a version 2 cgroup still allows; None without a limit.

    `swap` is the machine's free swap.
    """
    limit, used = (_number(folder / f"memory.{name}") for name in ("max", "current"))
    if limit is None or used is None:
        return None
    swap_limit = _number(folder / "memory.swap.max")
    if swap_limit is not None:
        swap = min(swap, swap_limit - (_number(folder / "memory.swap.current") or 0))
    stat = _fields(folder / "memory.stat")
    cached = stat.get("active_file", 0) + stat.get("inactive_file", 0)
    return limit - used + cached + swap


def _available_v1(folder: Path, swap: int) -> int | None:
    """Return the same for version 1, which can limit memory and swap together."""
    stat = _fields(folder / "memory.stat")
    cached = stat.get("total_active_file", 0) + stat.get("total_inactive_file", 0)
    available = []
    for kind, extra in (("memory", swap), ("memory.memsw", 0)):
        limit = _number(folder / f"{kind}.limit_in_bytes")
        used = _number(folder / f"{kind}.usage_in_bytes")
        if limit is not None and used is not None:
            available.append(limit - used + cached + extra)
    return min(available, default=None)


def _fields(path: Path) -> dict[str, int]:
    """Read lines that consist of a name, an optional colon, and a number."""
    lines = (line.split() for line in read_text(path).splitlines())
    return {words[0].rstrip(":"): int(words[1]) for words in lines if len(words) > 1}


def _number(path: Path) -> int | None:
    """Read a number; None for `max` or a missing file."""
    text = read_text(path)
    return None if text in ("", "max") else int(text)


def _mac_memory() -> int | None:
    value = ctypes.c_uint64(0)
    size = ctypes.c_size_t(ctypes.sizeof(value))
    failed = ctypes.CDLL(None).sysctlbyname(
        b"hw.memsize", ctypes.byref(value), ctypes.byref(size), None, 0
    )
    return None if failed else value.value


class _MemoryStatus(ctypes.Structure):
    """`MEMORYSTATUSEX` of `sysinfoapi.h`."""

    _fields_ = (
        ("dwLength", ctypes.c_uint32),
        ("dwMemoryLoad", ctypes.c_uint32),
        ("ullTotalPhys", ctypes.c_uint64),
        ("ullAvailPhys", ctypes.c_uint64),
        ("ullTotalPageFile", ctypes.c_uint64),
        ("ullAvailPageFile", ctypes.c_uint64),
        ("ullTotalVirtual", ctypes.c_uint64),
        ("ullAvailVirtual", ctypes.c_uint64),
        ("ullAvailExtendedVirtual", ctypes.c_uint64),
    )


def _windows_commit() -> int | None:
    status = _windows_status()
    return None if status is None else int(status.ullAvailPageFile)


def _windows_total() -> int | None:
    status = _windows_status()
    return None if status is None else int(status.ullTotalPhys)


def _windows_status() -> _MemoryStatus | None:
    status = _MemoryStatus(dwLength=ctypes.sizeof(_MemoryStatus))
    if sys.platform == "win32":
        if ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
            return status
    return None
