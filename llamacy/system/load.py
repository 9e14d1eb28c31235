"""How busy other processes keep the CPUs that this process may use.

Linux counts the ticks of each CPU in `/proc/stat`, and those of each process in
`/proc/PID/stat` (proc(5)); all figures here are differences of such counts. Other
systems are not asked: the load is unknown there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

BUSY: Final = 0.2
"""CPUs that others keep busy, from which on measurements suffer."""

_N_BUSIEST: Final = 3
_LEAST_SHOWN: Final = 0.05  # CPUs
_LEAST_TICKS: Final = 20  # of each CPU: a tick of one process is 5 % of that
# columns of /proc/stat: user, nice, system, irq, softirq
_WORKING: Final = (0, 1, 2, 5, 6)
_STEAL: Final = 7
_N_COLUMNS: Final = 8  # guests' time is counted in user and nice already
# columns of /proc/PID/stat after the name
_UTIME, _STIME, _STARTTIME = 11, 12, 19
_PROCESS: Final = re.compile(r"\d+ \((.*)\) (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class OtherProcess:
    """Another process, and the CPUs that it kept busy on average."""

    pid: int
    name: str
    cpus: float


@dataclass(frozen=True, slots=True)
class OtherLoad:
    """The load of a while by others than this process.

    Attributes
    ----------
    cpus : float
        CPUs that other processes kept busy, on average.
    stolen : float
        CPUs that the host of this virtual machine gave to others, on average.
    busiest : tuple of OtherProcess
        Up to three of these processes, the busiest first. Those outside of a container
        are not seen.
    """

    cpus: float
    stolen: float
    busiest: tuple[OtherProcess, ...]

    @property
    def is_busy(self) -> bool:
        """Whether measurements suffered."""
        return self.cpus + self.stolen >= BUSY

    def __str__(self) -> str:
        stolen = ""
        if self.stolen >= _LEAST_SHOWN:
            stolen = f", the virtual machine's host {self.stolen:.1f}"
        text = f"other processes kept {self.cpus:.1f} CPUs busy{stolen}"
        names = ", ".join(f"{p.name} ({p.pid}) {p.cpus:.1f}" for p in self.busiest)
        return f"{text}: {names}" if names else text


class LoadMeter:
    """Measures the load by others between its creation and each `read`.

    Parameters
    ----------
    root : str
        The root of Linux's file system, for tests.
    cpus : collection of int, optional
        The CPUs that count; by default those that this process may use.
    """

    def __init__(self, root: str = "/", cpus: Collection[int] | None = None) -> None:
        self._proc = Path(root, "proc")
        if cpus is None and hasattr(os, "sched_getaffinity"):
            cpus = os.sched_getaffinity(0)
        self._cpus = {f"cpu{number}" for number in cpus or ()}
        self._first = self._count()
        self._processes = self._count_processes()

    def read(self) -> OtherLoad | None:
        """Return the load since the creation.

        None if the system does not tell it, or the creation was less than some tenths
        of a second ago, in which the ticks are too few to say anything.
        """
        first, last = self._first, self._count()
        if first is None or last is None:
            return None
        # ticks that a CPU could have worked
        ticks = (last.total - first.total) / len(self._cpus)
        if ticks < _LEAST_TICKS:
            return None
        working = last.working - first.working - (last.own - first.own)
        return OtherLoad(
            cpus=max(0.0, working / ticks),
            stolen=max(0.0, (last.stolen - first.stolen) / ticks),
            busiest=self._busiest(ticks),
        )

    def _count(self) -> _Count | None:
        """Count the ticks of the CPUs so far."""
        rows = []
        try:
            for line in _read(self._proc / "stat").splitlines():
                name, *columns = line.split()
                if name in self._cpus:
                    rows.append([int(column) for column in columns[:_N_COLUMNS]])
            ticks = [sum(each) for each in zip(*rows, strict=True)]
            return _Count(
                total=sum(ticks),
                working=sum(ticks[each] for each in _WORKING),
                stolen=ticks[_STEAL],
                own=_ticks_of(_read(self._proc / "self/stat")),
            )
        except (ValueError, IndexError):  # another system, or an unexpected file
            return None

    def _count_processes(self) -> dict[tuple[int, int], tuple[str, int]]:
        """Return names and ticks of all other processes, by number and beginning.

        The kernel gives numbers again and its workers other names while they live.
        """
        found = {}
        try:
            pids = [int(name) for name in os.listdir(self._proc) if name.isdigit()]
        except OSError:
            return {}
        for pid in pids:
            text = _read(self._proc / str(pid) / "stat")
            match = _PROCESS.fullmatch(text.rstrip("\n"))
            if match and pid != os.getpid():
                began = int(match[2].split()[_STARTTIME])
                found[pid, began] = match[1], _ticks_of(text)
        return found

    def _busiest(self, ticks: float) -> tuple[OtherProcess, ...]:
        processes = []
        for process, (name, now) in self._count_processes().items():
            # a process that began meanwhile has all its ticks from this time
            _, before = self._processes.get(process, (name, 0))
            cpus = (now - before) / ticks
            if cpus >= BUSY / 2:
                processes.append(OtherProcess(process[0], name, cpus))
        processes.sort(key=lambda process: -process.cpus)
        return tuple(processes[:_N_BUSIEST])


@dataclass(frozen=True, slots=True)
class _Count:
    """Ticks of the CPUs that count, and this process's own."""

    total: int
    working: int
    stolen: int
    own: int


def _read(path: Path) -> str:
    """Return the text of a file; `""` if it is not there, as its process has ended.

    A process may have any bytes for a name: unprintable characters become `?`.
    """
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""
    return "".join(one if one.isprintable() or one == "\n" else "?" for one in text)


def _ticks_of(stat: str) -> int:
    """Return the ticks that a process worked, by its file `stat`."""
    match = _PROCESS.fullmatch(stat.rstrip("\n"))
    if match is None:
        raise ValueError(f"stat: wanted a process's, found {stat[:80]!r}")
    columns = match[2].split()
    return int(columns[_UTIME]) + int(columns[_STIME])
