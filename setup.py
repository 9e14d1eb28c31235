"""Build the Cython modules: one for each instruction-set level, and a few more.

Everything else about the package is in pyproject.toml. Each level's module is
compiled with the flags of its row in llamacy/kernels/levels, and with no others
that depend on the machine at hand: what is built runs wherever the row says.

Environment
-----------
LLAMACY_BUILD_EMULATED=1 : build the emulated levels too (for tests).
CC : the compiler, gcc or clang; on Windows it is always clang-cl.
"""

from __future__ import annotations

import os
import platform
import runpy
import shutil
import subprocess
import sys
import sysconfig
from glob import glob
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
}
# One wheel serves every Python from 3.11 on. Free-threaded Pythons have no stable ABI.
ABI3 = not sysconfig.get_config_var("Py_GIL_DISABLED")
HEADERS = [
    name
    for end in ("h", "pxi", "pxd")
    for name in glob(f"llamacy/**/*.{end}", recursive=True)
]


def optimization_flags() -> list[str]:
    """Choose every module's flags: fast, with NaN and infinities as in IEEE 754.

    -fno-math-errno and -fno-trapping-math let sqrtf and comparisons be vectorised;
    -ffast-math would also let the compiler reorder sums and drop NaN checks.
    """
    flags = ["-O3", "-fno-math-errno", "-fno-trapping-math"]
    if sys.platform == "win32":
        return [f"/clang:{flag}" for flag in flags]
    return [*flags, "-g0", "-fvisibility=hidden"]


def openmp() -> dict[str, list[str]]:
    """Choose the arguments for OpenMP, by platform."""
    if sys.platform == "win32":
        clang = shutil.which("clang-cl") or sys.exit("llamacy is built with clang-cl")
        lib = Path(clang).parents[1] / "lib"
        return {"compile": ["/openmp"], "link": [str(lib / "libomp.lib")]}
    if sys.platform == "darwin":
        brew = ["brew", "--prefix", "libomp"]
        prefix = os.environ.get("LIBOMP_PREFIX") or subprocess.check_output(
            brew, text=True
        )
        prefix = prefix.strip()
        return {
            "compile": ["-Xpreprocessor", "-fopenmp", f"-I{prefix}/include"],
            "link": [f"-L{prefix}/lib", "-lomp"],
        }
    return {"compile": ["-fopenmp"], "link": ["-fopenmp"]}


def extension(
    module: str, flags: tuple[str, ...] = (), threads: bool = False
) -> Extension:
    """Describe one module: its source is the .pyx of its name."""
    omp = openmp() if threads else {"compile": [], "link": []}
    strip = ["-Wl,-s"] if sys.platform == "linux" else []
    return Extension(
        module,
        sources=[module.replace(".", "/") + ".pyx"],
        depends=HEADERS,
        include_dirs=["llamacy/kernels", "llamacy/ops"],
        define_macros=[("Py_LIMITED_API", "0x030B0000")] if ABI3 else [],
        py_limited_api=ABI3,
        extra_compile_args=[*optimization_flags(), *flags, *omp["compile"]],
        extra_link_args=[*strip, *omp["link"]],
    )


def extensions() -> list[Extension]:
    """Describe all modules for the machine at hand."""
    levels = runpy.run_path("llamacy/kernels/levels/__init__.py")["levels_of"](
        machine()
    )
    emulated = os.environ.get("LLAMACY_BUILD_EMULATED") == "1"
    # the first error names a verb that a level lacks, in verbs.h or where the level's
    # own header calls it; all others would follow from it
    first_error = ("-Wfatal-errors", "-Werror=implicit-function-declaration")
    return [
        extension("llamacy.kernels.cpu"),
        extension("llamacy.kernels.packing.matrices", threads=True),
        extension("llamacy.kernels.roofline", threads=True),
        extension("llamacy.ops.plan.routing"),
        extension("llamacy.ops.plan.runtime", threads=True),
        extension("llamacy.ops.plan.steps"),
        extension("llamacy.ops.state.kv_pages"),
        *(
            extension(
                f"llamacy.kernels.levels.{level.name}", (*level.flags, *first_error)
            )
            for level in levels
            if emulated or not level.emulated
        ),
    ]


def machine() -> str:
    """Name the machine to build for; on macOS, one of those a Python may run on.

    A universal2 Python would compile everything for both kinds of Mac at once, with
    flags of one; it is told to build for one, which ARCHFLAGS may name.
    """
    if sys.platform != "darwin":
        return platform.machine()
    flags = os.environ.setdefault("ARCHFLAGS", f"-arch {platform.machine()}")
    name = flags.split()[-1]
    release = sysconfig.get_platform().split("-")[1]
    os.environ.setdefault("_PYTHON_HOST_PLATFORM", f"macosx-{release}-{name}")
    return name


class BuildExt(build_ext):
    """build_ext that compiles modules in parallel, on Windows with clang-cl."""

    def finalize_options(self) -> None:
        """Translate Cython to C, here and not in setup(), which an sdist calls too."""
        self.distribution.ext_modules = cythonize(
            self.distribution.ext_modules,
            build_dir="build/cython",
            include_path=["llamacy/kernels"],
            compiler_directives=DIRECTIVES,
        )
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def build_extensions(self) -> None:
        """Compile; MSVC's own compiler does not know gcc's flags and extensions."""
        if sys.platform == "win32":
            self.compiler.initialize()
            self.compiler.cc = "clang-cl"
        super().build_extensions()


setup(
    ext_modules=extensions(),
    cmdclass={"build_ext": BuildExt},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if ABI3 else {},
)
