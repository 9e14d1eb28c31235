"""The installed package is complete and typed, and contains no sources."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, files, metadata

import pytest

from llamacy.kernels.levels import LEVELS

try:
    FILES = [str(path) for path in files("llamacy") or []]
except PackageNotFoundError:  # run from the sources
    pytest.skip("llamacy is not installed", allow_module_level=True)
if not any(name.startswith("llamacy/") for name in FILES):
    pytest.skip("llamacy is installed as editable", allow_module_level=True)


def test_type_hints_are_installed() -> None:
    assert "llamacy/py.typed" in FILES


def test_every_compiled_module_has_a_stub() -> None:
    # A level's module contains nothing but its table of functions.
    compiled = {
        re.sub(r"\..*", "", name) for name in FILES if name.endswith((".so", ".pyd"))
    }
    levels = {level.name for level in LEVELS}
    named = {name for name in compiled if name.split("/")[-1] not in levels}
    assert "llamacy/kernels/cpu" in named
    assert not [name for name in named if f"{name}.pyi" not in FILES]


def test_sources_of_the_kernels_stay_in_the_sdist() -> None:
    assert not [name for name in FILES if name.endswith((".pyx", ".pxi", ".h", ".c"))]


def test_licence_is_declared_and_installed() -> None:
    assert metadata("llamacy")["License-Expression"] == "MIT"
    assert [name for name in FILES if name.endswith("LICENSE")]
