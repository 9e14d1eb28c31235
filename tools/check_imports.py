"""Check that imports inside llamacy point down only.

A kernel never knows a model; a model never knows an instruction set; a format never
knows either. The table says what each part may import, and is the only place to
change when that changes. Reads .py and .pyi with `ast`, Cython's files line by line.

    python tools/check_imports.py [FOLDER]      FOLDER: the package (llamacy)
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

FOUNDATION = {"codebooks", "errors", "config", "results", "fork_locks", "new_file"}
ENGINE = FOUNDATION | {"formats", "ops"}
MODEL = ENGINE | {
    *("adapters", "architectures", "chat", "converting", "cpu_count", "executors"),
    *("free_memory", "generation", "held_text", "hub", "inspecting", "kernels"),
    *("loading", "model", "model_files", "quality", "quantizing", "sampling"),
    *("session", "session_file", "sources", "tokenizers"),
}

# A part of the package (a module or folder in it; "" is llamacy/__init__.py) and the
# other parts it may import. Top layer first.
MAY_IMPORT: dict[str, set[str]] = {
    "__main__": {"cli"},
    "cli": {"", "roofline", *MODEL},
    "compat": MODEL,
    "": MODEL,
    "loading": MODEL,
    "converting": FOUNDATION
    | {"cpu_count", "formats", "model_files", "sampling", "sources"},
    "inspecting": ENGINE | {"architectures", "model_files", "sampling", "sources"},
    "quality": MODEL
    - {"converting", "inspecting", "loading", "model_files", "quantizing"},
    "quantizing": FOUNDATION
    | {"cpu_count", "formats", "model_files", "sampling", "sources"},
    "adapters": FOUNDATION | {"formats", "ops"},
    "model_files": FOUNDATION | {"architectures", "formats", "tokenizers"},
    "model": MODEL
    - {"converting", "inspecting", "loading", "model_files", "quality", "quantizing"},
    "session": MODEL
    - {"chat", "converting", "inspecting", "loading", "model", "model_files"}
    - {"quality", "quantizing"},
    "chat": FOUNDATION | {"generation", "sampling", "tokenizers"},
    "held_text": {"generation", "ops", "session_file"},
    "session_file": FOUNDATION | {"ops"},
    "executors": ENGINE | {"architectures", "free_memory"},
    "roofline": FOUNDATION | {"kernels"},
    "generation": FOUNDATION | {"sampling", "tokenizers", "ops"},
    "sampling": FOUNDATION,
    "architectures": ENGINE,
    "tokenizers": FOUNDATION | {"formats", "sources"},
    "ops": FOUNDATION | {"formats", "kernels"},
    "kernels": FOUNDATION,
    "formats": FOUNDATION,
    "sources": {"errors", "formats", "hub"},
    "hub": {"errors", "formats"},
    "cpu_count": {"cgroups"},
    "free_memory": {"cgroups"},
    "cgroups": set(),
    "new_file": {"errors"},
    "codebooks": set(),
    "results": set(),
    "config": set(),
    "fork_locks": set(),
    "errors": set(),
}

CYTHON_IMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+c?import\s+(.+)|c?import\s+(.+))")


def python_imports(source: str) -> Iterator[tuple[int, str, list[str]]]:
    """Yield (line, module as written, names) for each import of Python code."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, []
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield node.lineno, module, [alias.name for alias in node.names]


def cython_imports(source: str) -> Iterator[tuple[int, str, list[str]]]:
    """Yield the same for Cython code, whose imports and cimports are one line each."""
    for number, line in enumerate(source.splitlines(), 1):
        if match := CYTHON_IMPORT.match(line):
            module, names, modules = match.groups()
            words = re.findall(r"[\w.]+(?=\s*(?:,|$|\)|\bas\b|#))", names or modules)
            if module:
                yield number, module, words
            else:
                yield from ((number, word, []) for word in words)


def imported_parts(module: str, names: list[str], package: list[str]) -> set[str]:
    """Parts of llamacy that one import reaches.

    Parameters
    ----------
    module : as written, with its leading dots.
    names : what is imported from it.
    package : the package the import stands in: ``["llamacy", "ops"]``.
    """
    name = module.lstrip(".")
    dots = len(module) - len(name)
    base = package[: len(package) - dots + 1] if dots else []
    path = base + (name.split(".") if name else [])
    if path[:1] != ["llamacy"]:
        return set()
    if len(path) > 1:
        return {path[1]}
    # `from llamacy import x`: x is a part, or a name of llamacy/__init__.py.
    return {part if part in MAY_IMPORT else "" for part in names} or {""}


def violations(folder: Path) -> Iterator[str]:
    """Yield a line for each import in the package `folder` the table does not allow."""
    for file in sorted(folder.rglob("*.*")):
        if file.suffix in (".py", ".pyi"):
            imports = python_imports(file.read_text(encoding="utf-8"))
        elif file.suffix in (".pyx", ".pxd", ".pxi"):
            imports = cython_imports(file.read_text(encoding="utf-8"))
        else:
            continue
        inside = file.relative_to(folder)
        part = inside.parts[0].split(".")[0].replace("__init__", "")
        if part not in MAY_IMPORT:
            yield f"{file}: {part} is not in the table of {Path(__file__).name}"
            continue
        package = ["llamacy", *inside.parts[:-1]]
        for line, module, names in imports:
            for target in imported_parts(module, names, package) - {part}:
                if target not in MAY_IMPORT[part]:
                    yield f"{file}:{line}: {part} must not import {target or 'llamacy'}"


def main() -> None:
    """Run as a command: print the violations; exit with 1 if there are any."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "llamacy")
    found = list(violations(folder))
    print("\n".join(found) or f"{folder}: imports point down only")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
