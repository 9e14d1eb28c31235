"""How much memory this process can be given at most, as far as the system tells.

What is cached of files counts as free, and so does free swap: who needs more than
this gets it in no way. None is "unknown": nobody should be refused for that.

=======  =============================================================================
Linux    ``MemAvailable`` and ``SwapFree`` of ``/proc/meminfo`` (proc(5)), and what the
         limits of the process's cgroups, version 1 or 2, leave (cgroups(7))
macOS    ``hw.memsize``, all memory there is (sysctl(3)): idle pages are compressed and
         swapped to files that grow
Windows  ``ullAvailPageFile`` of ``GlobalMemoryStatusEx``: what may be committed
=======  =============================================================================
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

from llamacy.system.cgroups import cgroup_folders, read_text


def available_memory(root: str = "/") -> int | None:
    """Bytes this process can be given at most; None if the system does not tell.

    root : where Linux's files are.
    """
    try:
        if sys.platform == "darwin":
            return _mac_memory()
        if sys.platform == "win32":
            return _windows_commit()
        return _linux_memory(root)
    except (OSError, ValueError, AttributeError):  # files or calls unlike those known
        return None


def _linux_memory(root: str) -> int | None:
    meminfo = _fields(Path(root, "proc/meminfo"))  # in KiB
    if "MemAvailable" not in meminfo:
        return None
    swap = 1024 * meminfo.get("SwapFree", 0)
    rooms = [1024 * meminfo["MemAvailable"] + swap]
    for folder, version in cgroup_folders("memory", root):
        room = _room_v1(folder, swap) if version == 1 else _room_v2(folder, swap)
        if room is not None:
            rooms.append(room)
    return max(0, min(rooms))


def _room_v2(folder: Path, swap: int) -> int | None:
    """Memory that the limit of a cgroup of version 2 leaves, and swap of the machine's.

    None is no limit.
    """
    limit, used = (_number(folder / f"memory.{name}") for name in ("max", "current"))
    if limit is None or used is None:
        return None
    most = _number(folder / "memory.swap.max")
    if most is not None:
        swap = min(swap, most - (_number(folder / "memory.swap.current") or 0))
    stat = _fields(folder / "memory.stat")
    cached = stat.get("active_file", 0) + stat.get("inactive_file", 0)
    return limit - used + cached + swap


def _room_v1(folder: Path, swap: int) -> int | None:
    """Do the same for version 1, which may limit memory and swap together."""
    stat = _fields(folder / "memory.stat")
    cached = stat.get("total_active_file", 0) + stat.get("total_inactive_file", 0)
    rooms = []
    for kind, beside in (("memory", swap), ("memory.memsw", 0)):
        limit = _number(folder / f"{kind}.limit_in_bytes")
        used = _number(folder / f"{kind}.usage_in_bytes")
        if limit is not None and used is not None:
            rooms.append(limit - used + cached + beside)
    return min(rooms, default=None)


def _fields(path: Path) -> dict[str, int]:
    """Read lines of a name, a colon perhaps, and a number."""
    lines = (line.split() for line in read_text(path).splitlines())
    return {words[0].rstrip(":"): int(words[1]) for words in lines if len(words) > 1}


def _number(path: Path) -> int | None:
    """Read a number; None for ``max``, and where there is no such file."""
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
    """``MEMORYSTATUSEX`` of ``sysinfoapi.h``."""

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
    status = _MemoryStatus(dwLength=ctypes.sizeof(_MemoryStatus))
    if sys.platform == "win32":
        if ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
            return int(status.ullAvailPageFile)
    return None
