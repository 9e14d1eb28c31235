"""The name of the CPU, for people.

x86 CPUs have a name of their own. ARM CPUs tell Linux numbers of their designer and of
the core, and a CPU may have cores of several kinds; macOS and Windows know a name.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from llamacy.system.cgroups import read_text

_CORES: Final = {
    0x41: (  # ARM
        "ARM",
        {
            0xD03: "Cortex-A53",
            0xD04: "Cortex-A35",
            0xD05: "Cortex-A55",
            0xD07: "Cortex-A57",
            0xD08: "Cortex-A72",
            0xD09: "Cortex-A73",
            0xD0A: "Cortex-A75",
            0xD0B: "Cortex-A76",
            0xD0C: "Neoverse N1",
            0xD0D: "Cortex-A77",
            0xD40: "Neoverse V1",
            0xD41: "Cortex-A78",
            0xD44: "Cortex-X1",
            0xD46: "Cortex-A510",
            0xD47: "Cortex-A710",
            0xD48: "Cortex-X2",
            0xD49: "Neoverse N2",
            0xD4B: "Cortex-A78C",
            0xD4C: "Cortex-X1C",
            0xD4D: "Cortex-A715",
            0xD4E: "Cortex-X3",
            0xD4F: "Neoverse V2",
            0xD80: "Cortex-A520",
            0xD81: "Cortex-A720",
            0xD82: "Cortex-X4",
            0xD84: "Neoverse V3",
            0xD85: "Cortex-X925",
            0xD87: "Cortex-A725",
            0xD8E: "Neoverse N3",
        },
    ),
    0x48: ("HiSilicon", {0xD01: "TaiShan v110"}),
    0x51: ("Qualcomm", {0x001: "Oryon"}),
    0x61: (
        "Apple",
        {
            **{part: "M1" for part in (0x22, 0x23, 0x24, 0x25, 0x28, 0x29)},
            **{part: "M2" for part in (0x32, 0x33, 0x34, 0x35, 0x38, 0x39)},
        },
    ),
    0xC0: ("Ampere", {0xAC3: "Ampere-1", 0xAC4: "Ampere-1a"}),
}
"""By the numbers of Linux's `/proc/cpuinfo`: designers, and their cores."""


def cpu_name(root: str = "/") -> str:
    """Return the CPU's model name, or its architecture if the system has no name.

    Parameters
    ----------
    root : str
        The folder under which Linux's files are.
    """
    lines = read_text(Path(root, "proc/cpuinfo")).splitlines()
    facts = [
        (key.strip(), value.strip())
        for key, _, value in (line.partition(":") for line in lines)
    ]
    for key, value in facts:
        if key == "model name" and value:
            return value
    if sys.platform == "darwin":
        return _macs_name() or platform.machine()
    return _arm_cores(facts) or platform.processor() or platform.machine()


def _arm_cores(facts: Iterable[tuple[str, str]]) -> str:
    """Return the kinds of cores, and how many there are of each; `""` if none."""
    counts: dict[str, int] = {}
    designer = 0
    for key, value in facts:
        try:
            number = int(value, 16)
        except ValueError:
            continue
        if key == "CPU implementer":
            designer = number
        elif key == "CPU part":
            name = _core_name(designer, number)
            counts[name] = counts.get(name, 0) + 1
    return ", ".join(f"{count} x {name}" for name, count in counts.items())


def _core_name(designer: int, part: int) -> str:
    who, cores = _CORES.get(designer, (f"designer {designer:#x}", {}))
    return f"{who} {cores.get(part, f'part {part:#x}')}"


def _macs_name() -> str:
    libc = ctypes.CDLL(None)
    name = ctypes.create_string_buffer(256)
    size = ctypes.c_size_t(len(name))
    asked = b"machdep.cpu.brand_string"
    if libc.sysctlbyname(asked, name, ctypes.byref(size), None, 0):
        return ""
    return name.value.decode("utf-8", "replace")
