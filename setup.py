"""Build the Cython modules: one for each instruction-set level, and a few more.

Everything else about the package is in pyproject.toml. Each level's module is
compiled with the flags of its row in llamacy/kernels/levels, and with no others
that depend on the machine at hand: what is built runs wherever the row says. All levels
of an architecture are built, so that an installation may move to another machine.

Compiled modules stay in build/. A module is compiled again if its source, a header that
it includes, a flag or the compiler's command has changed, whatever the files' times. A
second `pip install .` of a clone compiles nothing, nor does a CI run that kept build/.
`rm -rf build` starts anew.

Environment
-----------
LLAMACY_BUILD_EMULATED=1 : build the emulated levels too (for tests).
CC : the compiler, gcc or clang; on Windows it is always clang-cl.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any, NamedTuple

if sys.maxsize < 2**32 or sys.byteorder != "little":
    found = f"{sys.maxsize.bit_length() + 1}-bit and {sys.byteorder}-endian"
    sys.exit(f"llamacy needs a 64-bit, little-endian Python; this one is {found}.")

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    # a Python without a global lock is left without; llamacy has locks of its own
    "freethreading_compatible": True,
}
# One wheel serves every Python from 3.11 on. Free-threaded Pythons have no stable ABI.
ABI3 = not sysconfig.get_config_var("Py_GIL_DISABLED")
INCLUDE_DIRS = ("llamacy/kernels", "llamacy/ops", "llamacy/ggml")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
# Cython's memoryview type, compiled once and not in each module that uses it.
MEMORYVIEWS = "llamacy.kernels.memoryviews"
# One file for each module, named by the module and by its digest.
BUILT = Path("build/modules")


class Module(NamedTuple):
    """A module to compile, and how it differs from others.

    Attributes
    ----------
    name : str
        Its full name; its source is the .pyx of that name, or Cython's own code.
    flags : tuple of str
        Flags of its own.
    threads : bool
        Whether it uses OpenMP.
    """

    name: str
    flags: tuple[str, ...] = ()
    threads: bool = False

    @property
    def source(self) -> str:
        """The file that Cython or, if it is Cython's own, the compiler translates."""
        end = ".c" if self.name == MEMORYVIEWS else ".pyx"
        return self.name.replace(".", "/") + end


def modules(machine: str, emulated: bool) -> list[Module]:
    """Return all modules for a machine, those that compile longest first.

    Compilers run side by side, and take the modules in this order.
    """
    levels = runpy.run_path("llamacy/kernels/levels/__init__.py")["levels_of"](machine)
    # the first error names a verb that a level lacks, in verbs.h or where the level's
    # own header calls it; all others would follow from it
    first_error = ("-Wfatal-errors", "-Werror=implicit-function-declaration")
    return [
        *(
            Module(f"llamacy.kernels.levels.{level.name}", (*level.flags, *first_error))
            for level in levels
            if emulated or not level.emulated
        ),
        Module("llamacy.kernels.packing.matrices", threads=True),
        Module(MEMORYVIEWS),
        Module("llamacy.ops.plan.steps"),
        Module("llamacy.ops.plan.runtime", threads=True),
        Module("llamacy.kernels.roofline", threads=True),
        Module("llamacy.ops.plan.routing"),
        Module("llamacy.kernels.cpu"),
        Module("llamacy.ops.state.kv_pages"),
        Module("llamacy.sampling.drawing"),
        Module("llamacy.ggml.quantization.nearest_points"),
    ]


def optimization_flags(system: str = sys.platform) -> list[str]:
    """Choose every module's flags: fast, with NaN and infinities as in IEEE 754.

    -fno-math-errno and -fno-trapping-math let sqrtf and comparisons be vectorised;
    -ffast-math would also let the compiler reorder sums and drop NaN checks.
    """
    flags = ["-O3", "-fno-math-errno", "-fno-trapping-math"]
    if system == "win32":
        return [f"/clang:{flag}" for flag in flags]
    return [*flags, "-g0", "-fvisibility=hidden"]


def openmp_flags(system: str = sys.platform) -> list[str]:
    """Choose the compiler's flags for OpenMP."""
    if system == "win32":
        return ["/openmp"]
    # Apple's compiler has OpenMP, and no option for it
    return ["-Xpreprocessor", "-fopenmp"] if system == "darwin" else ["-fopenmp"]


def openmp() -> dict[str, list[str]]:
    """Choose the arguments for OpenMP on this system, where its library is included."""
    flags = openmp_flags()
    if sys.platform == "win32":
        clang = shutil.which("clang-cl") or sys.exit("llamacy is built with clang-cl")
        library = Path(clang).parents[1] / "lib" / "libomp.lib"
        if not library.is_file():  # as in LLVM 17's and 18's installers for ARM
            sys.exit(f"llamacy needs an LLVM with OpenMP; found none at {library}")
        return {"compile": flags, "link": [str(library)]}
    if sys.platform == "darwin":
        brew = ["brew", "--prefix", "libomp"]
        prefix = os.environ.get("LIBOMP_PREFIX") or subprocess.check_output(
            brew, text=True
        )
        prefix = prefix.strip()
        return {
            "compile": [*flags, f"-I{prefix}/include"],
            "link": [f"-L{prefix}/lib", "-lomp"],
        }
    return {"compile": flags, "link": flags}


def extension(
    name: str, flags: tuple[str, ...] = (), threads: bool = False
) -> Extension:
    """Describe one module for setuptools, as `Module` does, for the system at hand."""
    omp = openmp() if threads else {"compile": [], "link": []}
    strip = ["-Wl,-s"] if sys.platform == "linux" else []
    return Extension(
        name,
        sources=[Module(name).source],
        include_dirs=[*INCLUDE_DIRS],
        define_macros=[("Py_LIMITED_API", "0x030B0000")] if ABI3 else [],
        py_limited_api=ABI3,
        extra_compile_args=[*optimization_flags(), *flags, *omp["compile"]],
        extra_link_args=[*strip, *omp["link"]],
    )


def extensions() -> list[Extension]:
    """Describe all modules for the machine at hand."""
    emulated = os.environ.get("LLAMACY_BUILD_EMULATED") == "1"
    return [extension(*module) for module in modules(machine(), emulated)]


def translated(described: list[Any], folder: str) -> list[Any]:
    """Translate modules from Cython to C, in a folder."""
    found: list[Any] = cythonize(
        described,
        build_dir=folder,
        cache="build/cython-cache",
        compiler_directives=DIRECTIVES,
        include_path=["llamacy/kernels"],
        nthreads=min(os.cpu_count() or 1, 8),
        shared_utility_qualified_name=MEMORYVIEWS,
    )
    for copy in Path(folder).rglob("*.h"):
        copy.unlink()  # Cython's, which the compiler would find before the original
    return found


def machine() -> str:
    """Name the machine to build for; on macOS, one of those a Python may run on.

    A universal2 Python would compile everything for both kinds of Mac at once, with
    flags of one; it is told to build for one, which ARCHFLAGS may name.
    """
    if sys.platform == "linux":  # also for another machine: _PYTHON_HOST_PLATFORM
        return sysconfig.get_platform().removeprefix("linux-")
    if sys.platform != "darwin":
        return platform.machine()
    flags = os.environ.setdefault("ARCHFLAGS", f"-arch {platform.machine()}")
    name = flags.split()[-1]
    release = sysconfig.get_platform().split("-")[1]
    os.environ.setdefault("_PYTHON_HOST_PLATFORM", f"macosx-{release}-{name}")
    return name


def included(source: Path) -> list[Path]:
    """Return a C file and all files of this project that it includes, sorted."""
    found = {source}
    unread = [source]
    while unread:
        reader = unread.pop()
        folders = (reader.parent, *map(Path, INCLUDE_DIRS))
        for name in INCLUDE.findall(reader.read_text(encoding="utf-8")):
            files = (Path(os.path.normpath(folder / name)) for folder in folders)
            file = next((file for file in files if file.is_file()), None)
            if file and file not in found:
                found.add(file)
                unread.append(file)
    return sorted(found)


class BuildPy(build_py):
    """build_py that keeps nothing of the last build, whose files may be gone since."""

    def run(self) -> None:
        """Copy the Python files into an empty folder."""
        if Path(self.build_lib).parts[0] == "build":
            shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


class BuildExt(build_ext):
    """build_ext that compiles what has changed, in parallel; on Windows by clang-cl."""

    def finalize_options(self) -> None:
        """Translate Cython to C, here and not in setup(), which an sdist calls too."""
        described = self.distribution.ext_modules or []
        self.distribution.ext_modules = translated(described, "build/cython")
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()
        self.force = True  # build_extension compares more than times

    def build_extensions(self) -> None:
        """Compile; MSVC's own compiler does not know gcc's flags and extensions."""
        if sys.platform == "win32":
            self.compiler.initialize()
            self.compiler.cc = "clang-cl"
        super().build_extensions()

    def build_extension(self, ext: Extension) -> None:
        """Compile and link a module, or copy it if it was built of the same before."""
        target = Path(self.get_ext_fullpath(ext.name))
        built = BUILT / f"{ext.name}-{self.digest(ext)}"
        if built.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(built, target)
            return
        super().build_extension(ext)
        BUILT.mkdir(parents=True, exist_ok=True)
        for outdated in BUILT.glob(f"{ext.name}-*"):
            outdated.unlink()
        # renamed when complete, for a build that is interrupted
        part = built.with_name(f"{built.name}.part")
        shutil.copy(target, part)
        part.replace(built)

    def digest(self, ext: Extension) -> str:
        """Return a digest of everything that a module is made of."""
        commands = [
            getattr(self.compiler, name, None) for name in ("compiler_so", "linker_so")
        ]
        made_of: list[object] = [
            *(commands, self.plat_name, sysconfig.get_config_var("EXT_SUFFIX")),
            *(ext.define_macros, ext.extra_compile_args, ext.extra_link_args),
        ]
        digest = hashlib.sha256(repr(made_of).encode())
        for source in ext.sources:
            for file in included(Path(source)):
                digest.update(f"\0{file.as_posix()}\0".encode() + file.read_bytes())
        return digest.hexdigest()


if __name__ == "__main__":  # which the processes that translate are not
    setup(
        ext_modules=extensions(),
        cmdclass={"build_ext": BuildExt, "build_py": BuildPy},
        options={"bdist_wheel": {"py_limited_api": "cp311"}} if ABI3 else {},
    )
