"""Building a copy of the checkout with a sanitizer, and the probe beside it.

Run as a program, in the copy, it is its setup.py with other flags.
"""

from __future__ import annotations

import os
import platform
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

from sanitizers.kinds import KINDS, Kind

ROOT = Path(__file__).resolve().parents[2]
PROBE = "sanitizer_probe"
# Instead of those of setup.py: stacks with lines and with all frames, and code near
# enough to the source for faults not to be optimised away.
DEBUG_FLAGS = ("-O1", "-gline-tables-only", "-fno-omit-frame-pointer")
PACKAGES = "clang-19 libclang-rt-19-dev libomp-19-dev"


def compiler() -> list[str]:
    """Return the compiler's command."""
    return os.environ.get("CC", "clang-19").split()


def find_library(name: str) -> str:
    """Return the path of a library of clang's; exit with advice if it is missing."""
    try:
        found = subprocess.check_output(
            [*compiler(), f"-print-file-name={name}"], text=True
        ).strip()
    except FileNotFoundError:
        sys.exit(f"{compiler()[0]}: no such compiler; Debian has it: {PACKAGES}")
    if not Path(found).is_absolute():  # the name alone: not found
        sys.exit(
            f"{name}: not in {compiler()[-1]}'s folders; Debian has it: {PACKAGES}"
        )
    return found


def libraries(kind: Kind) -> dict[str, str]:
    """Return the environment that loads what a sanitizer needs into Python."""
    runtime = find_library(f"libclang_rt.{kind.runtime}-{platform.machine()}.so")
    tool = {"OMP_TOOL_LIBRARIES": find_library(kind.tool)} if kind.tool else {}
    return {"LD_PRELOAD": runtime, **tool}


def copy_checkout(folder: Path) -> None:
    """Copy what a clone would hold, with uncommitted changes; keep the last build."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if old.name != "build":
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.check_output(command, cwd=ROOT, text=True).split("\0")[:-1]:
        if (source := ROOT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


def build(kind: Kind, folder: Path) -> None:
    """Build all modules of a copy, in place; each must call the sanitizer's runtime."""
    copy_checkout(folder)
    shutil.copy(Path(__file__).with_name("probe.pyx"), folder / f"{PROBE}.pyx")
    environment = {
        **os.environ,
        "CC": " ".join(compiler()),
        "LDFLAGS": " ".join(kind.flags),
        "LLAMACY_BUILD_EMULATED": "1",
        "PYTHONPATH": str(folder / "tools"),
    }
    command = [sys.executable, "-m", "sanitizers.building", kind.name]
    subprocess.run(command, cwd=folder, env=environment, check=True)
    call = f"__{kind.runtime.removesuffix('_standalone')}_".encode()
    for module in folder.rglob("*.so"):
        if "build" not in module.relative_to(folder).parts:
            if call not in module.read_bytes():
                sys.exit(f"{module}: built, but without the {kind.name} sanitizer")


def levels_elsewhere() -> set[str]:
    """Return the modules of levels that this CPU lacks, and that no test would load."""
    words = set(Path("/proc/cpuinfo").read_text(encoding="ascii").split())
    table = runpy.run_path("llamacy/kernels/levels/__init__.py")["LEVELS"]
    lacking = {level.name for level in table if not words.issuperset(level.features)}
    return {f"llamacy.kernels.levels.{name}" for name in lacking}


def setup_with(kind: Kind) -> None:
    """Run setup.py's build of the working directory, with a sanitizer's flags."""
    from setuptools import setup

    own = runpy.run_path("setup.py")
    modules = [own["extension"](PROBE, threads=True), *own["extensions"]()]
    modules = [each for each in modules if each.name not in levels_elsewhere()]
    replaced = {*own["optimization_flags"](), "-Wl,-s"} - {"-fvisibility=hidden"}
    for module in modules:
        kept = [flag for flag in module.extra_compile_args if flag not in replaced]
        module.extra_compile_args = [*DEBUG_FLAGS, *kind.flags, *kept]
        linked = [flag for flag in module.extra_link_args if flag not in replaced]
        module.extra_link_args = linked
    setup(
        name="llamacy-sanitized",
        ext_modules=modules,
        packages=[],
        cmdclass={"build_ext": own["BuildExt"]},
        script_args=["-q", "build_ext", "--inplace"],
    )


if __name__ == "__main__":
    setup_with(KINDS[sys.argv[1]])
