"""The check that imports point down only: it sees each way of writing one."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "check_imports.py"
LAYERS: tuple[tuple[str, ...], ...] = runpy.run_path(str(TOOL))["LAYERS"]


def check(folder: Path) -> tuple[int, list[str]]:
    """Run the tool on a package; return exit status and lines."""
    command = [sys.executable, str(TOOL), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert not done.stderr
    return done.returncode, done.stdout.splitlines()


def package(folder: Path, name: str, source: str) -> Path:
    """Make a package llamacy with one file in it."""
    path = folder / "llamacy" / name
    path.parent.mkdir(parents=True)
    path.write_text(source)
    return folder / "llamacy"


def test_imports_of_llamacy_itself_point_down() -> None:
    assert check(ROOT / "llamacy")[0] == 0


@pytest.mark.parametrize(
    ("name", "source", "target"),
    [
        ("kernels/a.py", "import llamacy.ops.plan.plan", "ops"),
        ("kernels/a.py", "from ..ops import plan", "ops"),
        ("kernels/a.py", "from .. import ops", "ops"),
        ("kernels/a.py", "from llamacy import load", "llamacy"),
        ("kernels/a.pyi", "from llamacy.model.model import Model", "model"),
        ("kernels/a.pyx", "from llamacy.ops cimport runtime", "ops"),
        ("kernels/a.pyx", "cimport numpy, llamacy.ops.plan.runtime as r", "ops"),
        ("kernels/a.pxi", "    from ..formats.ggml import GGMLType", "formats"),
        ("ops/deep/a.pxd", "from ...model cimport x", "model"),
        ("formats/a.py", "def f():\n    import llamacy.kernels", "kernels"),
        ("formats/a.py", "from llamacy import architectures, errors", "architectures"),
        ("model/a.py", "from llamacy.cli import main", "cli"),
    ],
)
def test_each_upward_import_is_reported_in_one_line(
    name: str, source: str, target: str, tmp_path: Path
) -> None:
    status, lines = check(package(tmp_path, name, source))
    assert status == 1
    assert len(lines) == 1
    part = name.split("/")[0].removesuffix(".py")
    assert lines[0].endswith(f"{part} must not import {target}")
    assert f"{Path(name).name}:{source.count(chr(10)) + 1}: " in lines[0]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("ops/a.py", "from llamacy import kernels\nimport llamacy.kernels.levels"),
        ("ops/a.py", "from . import batch\nfrom .batch import Batch\nimport ops"),
        ("ops/a.pyx", "cimport cython\nfrom .runtime cimport x\nimport numpy as np"),
        ("__init__.py", "from llamacy.model.model import Model"),
        ("cli/run.py", "import llamacy\nfrom llamacy import load"),
        ("kernels/a.py", '"""from llamacy import model"""'),
    ],
)
def test_downward_and_foreign_imports_pass(
    name: str, source: str, tmp_path: Path
) -> None:
    assert check(package(tmp_path, name, source))[0] == 0


def test_a_part_that_is_not_listed_is_reported(tmp_path: Path) -> None:
    status, lines = check(package(tmp_path, "novel/a.py", ""))
    assert status == 1
    assert "novel is not among the layers" in lines[0]


def test_the_drawing_in_the_docs_is_of_the_table() -> None:
    command = [sys.executable, str(TOOL), "--draw"]
    drawn = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    page = (ROOT / "docs" / "inside" / "layers.md").read_text(encoding="utf-8")
    assert page.startswith(f"# Layers\n\n```\n{drawn}```\n")


def test_the_package_readme_names_every_part_in_the_order_of_the_layers() -> None:
    readme = (ROOT / "llamacy" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| *(\d*) *\| `(\w+)(?:/|\.py)?` \|", readme, re.M)
    named: list[list[str]] = []
    for number, part in rows:
        if number:
            assert int(number) == len(named) + 1
            named.append([])
        named[-1].append(part)
    layers = [[part or "__init__" for part in row] for row in LAYERS]
    assert [sorted(row) for row in named] == [sorted(row) for row in layers]


def test_every_part_of_the_package_is_a_layer() -> None:
    parts = {
        path.stem
        for path in (ROOT / "llamacy").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert {part.replace("__init__", "") for part in parts} == set(sum(LAYERS, ()))
