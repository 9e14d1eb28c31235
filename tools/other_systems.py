"""Compile every module for systems that are not at hand; warnings are errors.

python tools/other_systems.py FOLDER [--check] [SYSTEM ...]

SYSTEM: one of windows-x86_64, windows-aarch64, macos-x86_64, macos-aarch64,
musl-x86_64, musl-aarch64; by default all. FOLDER receives the C that Cython makes, and
objects. Nothing is linked or run: that each level is right is shown by the tests, and
here that its C is C to the compilers of other systems, with setup.py's flags for them
except -O3: clang-cl's driver for Windows, clang's elsewhere.

--check: make no objects, in a fifth of the time. All that clang says of C is said, that
a level lacks a flag for what it uses too; inline assembly is not looked into.

Compiler and headers are those of the package `ziglang`. Windows' are MinGW's, since
Microsoft's own may not be passed on. Python's headers are this Python's, with a
pyconfig.h for the system; OpenMP's those of this machine's gcc. Run it where setup.py
is, with Cython, setuptools and ziglang.
"""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The part of it that extensions for the stable ABI see; the rest is as on Linux.
PYCONFIG = {
    "win32": """
#define MS_WINDOWS
#define MS_WIN64
#define HAVE_DECLSPEC_DLL
#define Py_ENABLE_SHARED
#define NT_THREADS
#define SIZEOF_LONG 4
#define SIZEOF_WCHAR_T 2
""",
    "darwin": """
#define SIZEOF_LONG 8
#define SIZEOF_WCHAR_T 4
""",
    "linux": """
#define SIZEOF_LONG 8
#define SIZEOF_WCHAR_T 4
""",
}
PYCONFIG_OF_ALL = """
#define SIZEOF_SHORT 2
#define SIZEOF_INT 4
#define SIZEOF_LONG_LONG 8
#define SIZEOF_SIZE_T 8
#define SIZEOF_TIME_T 8
#define SIZEOF_VOID_P 8
#define SIZEOF_UINTPTR_T 8
#define HAVE_UINTPTR_T 1
#define HAVE_PROTOTYPES 1
#define HAVE_STDARG_PROTOTYPES 1
#define WITH_THREAD 1
"""
# Of what Cython writes: functions that a module does not need, and const memory, whose
# address it keeps in a structure for any.
CYTHON_WARNS = (
    *("unused-function", "unused-parameter", "missing-field-initializers"),
    "incompatible-pointer-types-discards-qualifiers",
)
# MinGW's headers leave out attributes, for compilers that call themselves Microsoft's.
MINGW = ("-U_MSC_VER", "-fgnuc-version=4.2.1", "-D__MINGW32__", "-D__MINGW64__")
REFUSED = ("arm-linux-gnueabihf", "s390x-linux-gnu")
REFUSAL = "llamacy needs a 64-bit, little-endian CPU"


@dataclass(frozen=True)
class System:
    """A system to compile for.

    Attributes
    ----------
    name : str
        Its name here.
    platform : str
        Its `sys.platform`.
    machine : str
        `"x86_64"` or `"aarch64"`.
    """

    name: str
    platform: str
    machine: str

    def compiler(self, headers: list[Path]) -> list[str]:
        """Return the compiler's command, without setup.py's flags.

        `headers` are folders of headers that are not warned about.
        """
        import ziglang

        home = Path(ziglang.__file__).parent
        folders = [home / "lib/include", *headers]
        folders += [home / "lib/libc/include" / each for each in self.libc()]
        warnings = ["-Werror=vla", *(f"-Wno-{name}" for name in CYTHON_WARNS)]
        command = [str(home / "zig"), "clang"]
        if self.platform == "win32":
            return [
                *(*command, "--driver-mode=cl", "/nologo", "/c", "/DNDEBUG", "/MD"),
                *(f"--target={self.machine}-pc-windows-msvc", f"-D__{self.machine}"),
                *(*MINGW, "/W4", "/WX", "-Werror=unknown-argument", *warnings),
                *(each for folder in folders for each in ("/imsvc", str(folder))),
            ]
        kind = "apple-macos14" if self.platform == "darwin" else "linux-musl"
        return [
            *(*command, f"--target={self.machine}-{kind}", "-c", "-DNDEBUG", "-fPIC"),
            *("-Wall", "-Wextra", "-Werror", *warnings, "-nostdlibinc"),
            *(each for folder in folders for each in ("-isystem", str(folder))),
        ]

    def libc(self) -> tuple[str, ...]:
        """Return ziglang's folders of the system's own headers."""
        if self.platform == "win32":
            return ("any-windows-any",)
        if self.platform == "darwin":
            return ("any-darwin-any",)
        kinds = ("musl", "any")
        return (
            *(f"{self.machine}-linux-{kind}" for kind in kinds),
            *("generic-musl", "any-linux-any"),
        )

    def files(self, source: Path, target: Path) -> list[str]:
        """Return the arguments that end the command: no optimisation, and the files."""
        if self.platform == "win32":
            return ["/clang:-O0", "/clang:-o", f"/clang:{target}", f"/Tc{source}"]
        return ["-O0", "-o", str(target), str(source)]


SYSTEMS = tuple(
    System(f"{name}-{machine}", platform, machine)
    for name, platform in (("windows", "win32"), ("macos", "darwin"), ("musl", "linux"))
    for machine in ("x86_64", "aarch64")
)


def python_headers(system: System, folder: Path) -> Path:
    """Copy this Python's headers, with a pyconfig.h for another system."""
    headers = folder / f"python-{system.platform}"
    shutil.copytree(sysconfig.get_path("include"), headers, dirs_exist_ok=True)
    text = PYCONFIG[system.platform] + PYCONFIG_OF_ALL
    (headers / "pyconfig.h").write_text(text, encoding="ascii")
    return headers


def openmp_header(folder: Path) -> Path:
    """Copy omp.h, and none of the headers beside it, which are this machine's."""
    found = subprocess.check_output(["cc", "-print-file-name=include/omp.h"], text=True)
    headers = folder / "openmp"
    headers.mkdir(exist_ok=True)
    shutil.copy(found.strip(), headers)
    return headers


def command(
    system: System, module: Any, own: dict[str, Any], folder: Path
) -> list[str]:
    """Return the command that makes an object of a module, as setup.py does there."""
    source = folder / "cython" / Path(module.source).with_suffix(".c")
    target = folder / system.name / f"{module.name}.o"
    target.parent.mkdir(exist_ok=True)
    headers = [folder / f"python-{system.platform}"]
    headers += [folder / "openmp"] if module.threads else []
    return [
        *system.compiler(headers),
        "-DPy_LIMITED_API=0x030B0000",
        *(f"-I{each}" for each in own["INCLUDE_DIRS"]),
        *own["optimization_flags"](system.platform),
        *module.flags,
        *(own["openmp_flags"](system.platform) if module.threads else ()),
        *system.files(source, target),
    ]


def refusal(target: str) -> str | None:
    """Return what is wrong with the refusal of a 32-bit or big-endian machine."""
    import ziglang

    home = Path(ziglang.__file__).parent
    command = [
        *(str(home / "zig"), "clang", f"--target={target}", "-ffreestanding"),
        *("-isystem", str(home / "lib/include"), "-fsyntax-only", "-Wfatal-errors"),
        *("-x", "c", "llamacy/kernels/levels/compiler.h"),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    said = done.returncode and REFUSAL in done.stderr.partition("error: ")[2]
    return None if said else f"{target}: wanted {REFUSAL!r}, found\n{done.stderr}"


def compiled(args: list[str]) -> str | None:
    """Run a compiler; return what it says if it fails."""
    done = subprocess.run(args, capture_output=True, text=True)
    if done.returncode == 0:
        return None
    return f"{' '.join(args)}\n{done.stdout}{done.stderr}"


def main() -> None:
    """Run as a command; the exit status tells whether all compiles."""
    named = {system.name: system for system in SYSTEMS}
    words = [word for word in sys.argv[1:] if word != "--check"]
    if not words or words[0].startswith("-") or not named.keys() >= set(words[1:]):
        sys.exit(__doc__)
    folder, names = Path(words[0]).resolve(), words[1:]
    folder.mkdir(parents=True, exist_ok=True)
    systems = [named[name] for name in names or named]
    # what a function may use is known when code is made of it, the compiler's own
    only = ["-Xclang", "-emit-llvm-only"] if "--check" in sys.argv else []
    own = runpy.run_path("setup.py")
    modules = {
        system: own["modules"](system.machine, emulated=True) for system in systems
    }
    different = {module.name: module for each in modules.values() for module in each}
    described = [own["extension"](*module) for module in different.values()]
    own["translated"](described, str(folder / "cython"))
    for system in systems:
        python_headers(system, folder)
    openmp_header(folder)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        commands = [
            [*command(system, module, own, folder), *only]
            for system in systems
            for module in modules[system]
        ]
        failures = [
            each
            for each in (*pool.map(compiled, commands), *pool.map(refusal, REFUSED))
            if each
        ]
    print(*failures, sep="\n\n", end="\n" if failures else "")
    print(f"{len(commands)} modules for {len(systems)} systems: {len(failures)} failed")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
