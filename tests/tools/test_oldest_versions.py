"""Constraints to the oldest versions that pyproject.toml allows."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from oldest_versions import PYPROJECT, oldest

ROOT = Path(__file__).resolve().parents[2]


def test_the_lower_bound_becomes_a_constraint() -> None:
    found = oldest(["numpy>=1.26", "mkdocstrings[python]>=0.29"])
    assert found == ["numpy==1.26", "mkdocstrings==0.29"]


@pytest.mark.parametrize("requirement", ["numpy", "numpy<3", "numpy>=1.26,<3"])
def test_a_requirement_of_another_form_is_refused(requirement: str) -> None:
    with pytest.raises(SystemExit, match="wanted NAME>=VERSION"):
        oldest([requirement])


def test_every_requirement_of_the_project_has_a_lower_bound() -> None:
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    command = [sys.executable, str(ROOT / "tools/oldest_versions.py"), *extras]
    lines = subprocess.check_output(command, text=True).split()
    names = [line.partition("==")[0] for line in lines]
    assert {"numpy", "pytest", "langchain-core", "fastapi", "torch"} <= set(names)
    assert len(names) == len(lines)
    assert "llamacy" not in names
