"""The installed package is complete and typed, and contains no sources."""

from __future__ import annotations

import re
from importlib.metadata import Distribution, distributions

import pytest

from llamacy.kernels.levels import LEVELS


def wheel() -> Distribution | None:
    """Return the installed wheel; builds leave llamacy.egg-info beside the sources."""
    for found in distributions(name="llamacy"):
        if found.read_text("RECORD") is not None:
            return found
    return None


WHEEL = wheel()
if WHEEL is None:  # run from the sources
    pytest.skip("llamacy is not installed", allow_module_level=True)
PATHS = {str(path): path for path in WHEEL.files or []}
FILES = list(PATHS)
if not any(name.startswith("llamacy/") for name in FILES):
    pytest.skip("llamacy is installed as editable", allow_module_level=True)


def test_type_hints_are_installed() -> None:
    assert "llamacy/py.typed" in FILES


def test_the_sources_of_the_page_are_installed() -> None:
    kinds = {name.rpartition(".")[2] for name in FILES if "server/page/sources" in name}
    assert kinds == {"html", "css", "js"}


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


def test_the_licence_and_those_of_bundled_libraries_are_installed() -> None:
    assert WHEEL is not None
    declared = WHEEL.metadata
    assert declared["License-Expression"] == "MIT"
    names = declared.get_all("License-File") or []
    assert {"LICENSE", "NOTICE"} < set(names)
    assert not [
        name for name in names if not [file for file in FILES if file.endswith(name)]
    ]


def test_the_notice_names_every_bundled_library_and_every_license_file() -> None:
    notice = next(path for name, path in PATHS.items() if name.endswith("NOTICE"))
    text = notice.read_text(encoding="utf-8")
    # auditwheel, delocate and delvewheel put them into these folders
    bundled = [
        name for name in PATHS if re.match(r"llamacy(\.libs|/\.dylibs)/.*\.\w", name)
    ]
    libraries = {re.sub(r"\d*[.-].*", "", name.split("/")[-1]) for name in bundled}
    assert not [name for name in libraries if name not in text]
    licenses = re.findall(r"LICENSES/[\w.-]+", text)
    assert licenses
    assert not [
        each for each in licenses if not [name for name in PATHS if name.endswith(each)]
    ]
