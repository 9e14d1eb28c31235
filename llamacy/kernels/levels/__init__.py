"""The instruction-set levels that kernels are built for: one row each, worst to best.

Pure data, read by `setup.py` (which compiles this folder's `<name>.pyx` with the row's
flags) and by `llamacy.kernels` (which chooses a level at run time). It imports nothing
from llamacy, so that the build can run it by its path.

A new level is one header, one stub and one row here: see kernels/README.md.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Level:
    """An instruction-set level.

    Attributes
    ----------
    name : str
        The level's name in files, functions, tests and `LLAMACY_ISA` alike.
    machine : str
        `"x86_64"`, `"aarch64"` or `"any"`.
    features : tuple of str
        Features that the CPU and its operating system must offer, spelled as in Linux's
        `/proc/cpuinfo`.
    flags : tuple of str
        Flags for gcc, clang and clang-cl; never `-march=native`.
    description : str
        For people: the instructions it uses, and the first CPUs that have them.
    emulated : bool
        A level for tests: the code of another one, with instructions that few machines
        have replaced by plain C. Built only on request (environment
        `LLAMACY_BUILD_EMULATED=1`) and never chosen unless named.
    """

    name: str
    machine: str
    features: tuple[str, ...]
    flags: tuple[str, ...]
    description: str
    emulated: bool = False


_AVX2 = ("avx2", "fma", "f16c", "bmi2")
_AVX512 = (*_AVX2, "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni")
_AVX512_BF16 = (*_AVX512, "avx512_bf16")
_AMX = (*_AVX512_BF16, "amx_tile", "amx_bf16")

_AVX2_FLAGS = ("-mavx2", "-mfma", "-mf16c", "-mbmi2")
_AVX512_FLAGS = (
    *_AVX2_FLAGS,
    *("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni"),
    # Left to themselves compilers vectorise plain loops in 256 bits.
    "-mprefer-vector-width=512",
)
_AVX512_BF16_FLAGS = (*_AVX512_FLAGS, "-mavx512bf16")
_AMX_FLAGS = (*_AVX512_BF16_FLAGS, "-mamx-tile", "-mamx-bf16")

LEVELS = (
    Level(
        name="scalar",
        machine="any",
        features=(),
        flags=(),
        description="portable C, any CPU",
    ),
    Level(
        name="avx2",
        machine="x86_64",
        features=_AVX2,
        flags=_AVX2_FLAGS,
        description="AVX2, FMA, F16C: Intel Haswell 2013-, AMD Zen 2017-",
    ),
    Level(
        name="avx2_vnni",
        machine="x86_64",
        features=(*_AVX2, "avx_vnni"),
        flags=(*_AVX2_FLAGS, "-mavxvnni"),
        description="AVX2 with VNNI: Intel Alder Lake 2021-, AMD Zen 5 2024-",
    ),
    Level(
        name="avx512",
        machine="x86_64",
        features=_AVX512,
        flags=_AVX512_FLAGS,
        description="AVX-512 VNNI: Intel Cascade Lake 2019-",
    ),
    Level(
        name="avx512_bf16",
        machine="x86_64",
        features=_AVX512_BF16,
        flags=_AVX512_BF16_FLAGS,
        description="the same with bf16: Intel Cooper Lake 2020-, AMD Zen 4 2022-",
    ),
    Level(
        name="amx",
        machine="x86_64",
        features=_AMX,
        flags=_AMX_FLAGS,
        description="AMX tiles, int8 and bf16: Intel Sapphire Rapids 2023-",
    ),
    Level(
        name="amx_emulated",
        machine="x86_64",
        features=_AVX512,
        flags=_AVX512_FLAGS,
        description="amx with its tile instructions in plain C, for tests",
        emulated=True,
    ),
    Level(
        name="neon_plain",
        machine="aarch64",
        features=("asimd",),
        flags=("-march=armv8-a",),
        description="NEON: every 64-bit ARM, Cortex-A53 2012-, Raspberry Pi 3 and 4",
    ),
    Level(
        name="neon",
        machine="aarch64",
        features=("asimd", "asimddp"),
        flags=("-march=armv8.2-a+dotprod",),
        description="NEON with dot products: ARM Cortex-A76 2018-, Apple M1 2020-",
    ),
    Level(
        name="neon_i8mm",
        machine="aarch64",
        features=("asimd", "asimddp", "i8mm", "bf16"),
        flags=("-march=armv8.2-a+dotprod+i8mm+bf16",),
        description="matrix products of bytes, bf16: Neoverse V1 2020-, Apple M2 2022-",
    ),
)

# Names that operating systems give to the machines.
_MACHINES = {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64"}


def levels_of(machine: str) -> tuple[Level, ...]:
    """Return the levels that exist for a machine, named as by `platform.machine()`.

    >>> [level.name for level in levels_of("riscv64")]
    ['scalar']
    """
    machine = machine.lower()
    machine = _MACHINES.get(machine, machine)
    return tuple(level for level in LEVELS if level.machine in ("any", machine))
