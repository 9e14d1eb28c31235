"""Check that imports inside llamacy point down only.

A kernel never knows a model; a model never knows an instruction set; a format never
knows either. `LAYERS` lists the parts of the package, top first; each may import only
from the rows below its own. Reads .py and .pyi with `ast`, Cython's files line by
line.

    python tools/check_imports.py [FOLDER]      FOLDER: the package (llamacy)
    python tools/check_imports.py --draw        draw the layers, as the docs do
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

LAYERS = (
    ("__main__",),
    ("cli",),
    ("compat", "integrations", "jobs", "server"),
    ("",),
    ("quality",),
    ("model", "protocols"),
    ("chat", "sessions"),
    ("generation",),
    ("model_files", "roofline", "sampling"),
    ("architectures", "hub", "structured"),
    ("ops", "tokenizers"),
    ("kernels", "formats"),
    ("config", "ggml", "system"),
    ("arguments", "results"),
    ("errors", "notebook", "option_names"),
    ("printable",),
)
"""Parts of the package, top first; "" is llamacy/__init__.py.

A part imports from the rows below its own; parts of one row know nothing of each other.
"""

DEPTH = {part: depth for depth, row in enumerate(LAYERS) for part in row}

WIDTH = 40
"""Characters between the borders of the drawing."""

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
    """Yield the same for Cython code, where each import or cimport is one line."""
    for number, line in enumerate(source.splitlines(), 1):
        if match := CYTHON_IMPORT.match(line):
            module, names, modules = match.groups()
            words = re.findall(r"[\w.]+(?=\s*(?:,|$|\)|\bas\b|#))", names or modules)
            if module:
                yield number, module, words
            else:
                yield from ((number, word, []) for word in words)


def imported_parts(module: str, names: list[str], package: list[str]) -> set[str]:
    """Return the parts of llamacy that one import reaches.

    Parameters
    ----------
    module : str
        The module as written, with its leading dots.
    names : list of str
        Names imported from it.
    package : list of str
        The package that contains the import: `["llamacy", "ops"]`.
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
    return {part if part in DEPTH else "" for part in names} or {""}


def violations(folder: Path) -> Iterator[str]:
    """Yield a line for each import in the package `folder` that points up."""
    for file in sorted(folder.rglob("*.*")):
        if file.suffix in (".py", ".pyi"):
            imports = python_imports(file.read_text(encoding="utf-8"))
        elif file.suffix in (".pyx", ".pxd", ".pxi"):
            imports = cython_imports(file.read_text(encoding="utf-8"))
        else:
            continue
        inside = file.relative_to(folder)
        part = inside.parts[0].split(".")[0].replace("__init__", "")
        if part not in DEPTH:
            yield f"{file}: {part} is not among the layers of {Path(__file__).name}"
            continue
        package = ["llamacy", *inside.parts[:-1]]
        for line, module, names in imports:
            for target in imported_parts(module, names, package) - {part}:
                if DEPTH.get(target, 0) <= DEPTH[part]:
                    yield f"{file}:{line}: {part} must not import {target or 'llamacy'}"


def drawing() -> str:
    """Draw `LAYERS`, one box a row, the parts of a row side by side."""
    line = "─" * WIDTH
    boxes = [
        f"│{'   '.join(part or '__init__' for part in row):^{WIDTH}}│" for row in LAYERS
    ]
    return "\n".join([f"┌{line}┐", f"\n├{line}┤\n".join(boxes), f"└{line}┘"])


def main() -> None:
    """Run as a command: print the violations; exit with 1 if there are any."""
    if sys.argv[1:] == ["--draw"]:
        print(drawing())
        return
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "llamacy")
    found = list(violations(folder))
    print("\n".join(found) or f"{folder}: imports point down only")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
