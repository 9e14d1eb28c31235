"""`llamacy info`: the machine as llamacy sees it, and what it chose and why."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any, Final

from llamacy.cli.options import JSON

_PACKAGES: Final = (
    "numpy",
    "sentencepiece",
    "tokenizers",
    "jinja2",
    "huggingface-hub",
    "gguf",
    "typer",
    "rich",
)
"""The packages that llamacy needs."""

_COMPILER: Final = re.compile(rb"GCC: \([^)\0]*\) [\w.]+|clang version [\w.]+")
"""The notes that compilers leave in what they make."""


def info(json: JSON = False) -> None:
    """Show versions, the CPU, the instruction-set level and the threads.

    Paste it into the report of a problem. `llamacy doctor` looks for problems itself.
    """
    facts = _facts()
    if json:
        from json import dumps

        print(dumps(facts, ensure_ascii=False))
        return
    from llamacy.cli.tables import print_table

    print(f"llamacy  {facts['version']} (Python {facts['python']})")
    print(f"system   {facts['platform']}")
    if facts["compiler"]:
        print(f"compiler {facts['compiler']}")
    packages = ", ".join(f"{name} {found}" for name, found in facts["packages"].items())
    print(f"packages {packages}")
    print(f"CPU      {facts['cpu']}")
    print(f"features {', '.join(facts['features']) or 'none that a level needs'}")
    print(f"threads  {facts['n_threads']} ({facts['n_threads_reason']})")
    print(f"level    {facts['isa']} ({facts['isa_reason']})")
    if facts["weights_ahead"] is not None:
        ahead = (
            f"{facts['weights_ahead']} bytes ahead ({facts['weights_ahead_reason']})"
        )
        print(f"weights  prefetched {ahead}")
    rows = []
    for level in facts["levels"]:
        state = "in use" if level["name"] == facts["isa"] else "can be used"
        rows.append((level["name"], level["lacking"] or state, level["description"]))
    print_table(["level", "here", "what it is"], rows)


def _facts() -> dict[str, Any]:
    import llamacy
    from llamacy import kernels
    from llamacy.kernels.cpu import FEATURES
    from llamacy.kernels.weight_reading import weights_ahead, weights_ahead_reason
    from llamacy.system.cpu_names import cpu_name
    from llamacy.system.threads import default_threads

    levels = [
        {
            "name": level.name,
            "description": level.description,
            "available": kernels.lacking(level) is None,
            "lacking": kernels.lacking(level),
        }
        for level in kernels.LEVELS
        # Emulated levels are for tests, and listed only where they were built.
        if not level.emulated or kernels.lacking(level) is None
    ]
    # Kernels of other levels read the weights of few rows in one way on all CPUs.
    chooses = "avx2" in kernels.selected().features
    return {
        "version": llamacy.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "compiler": _compiler(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "cpu": cpu_name(),
        "features": sorted(FEATURES),
        "isa": kernels.selected().name,
        "isa_reason": kernels.reason(),
        "levels": levels,
        "weights_ahead": weights_ahead() if chooses else None,
        "weights_ahead_reason": weights_ahead_reason() if chooses else None,
        "n_threads": default_threads(),
        "n_threads_reason": threads_reason(),
    }


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _compiler() -> str | None:
    """Return the compiler that made the kernels; None if they do not tell."""
    from llamacy.kernels import roofline

    try:
        found = _COMPILER.search(Path(roofline.__file__).read_bytes())
    except OSError:
        return None
    return found[0].decode("ascii", "replace") if found else None


def threads_reason() -> str:
    """Return the facts that the default number of threads follows from."""
    from llamacy.system.threads import (
        cgroup_quota,
        openmp_threads,
        physical_cores,
        system_cores,
    )

    reasons = [f"{os.cpu_count()} logical CPUs"]
    if hasattr(os, "sched_getaffinity"):
        allowed = os.sched_getaffinity(0)
        reasons.append(f"{len(allowed)} allowed to this process")
        reasons.append(f"on {physical_cores(allowed)} physical cores")
    elif (cores := system_cores()) is not None:
        reasons.append(f"on {cores} physical cores")
    if (quota := cgroup_quota()) is not None:
        reasons.append(f"cgroup quota of {quota:g} CPUs")
    if (asked := openmp_threads()) is not None:
        reasons.append(f"OMP_NUM_THREADS={asked}")
    return ", ".join(reasons)
