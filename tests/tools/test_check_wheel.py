"""Wheels that must not be given to others."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
from check_wheel import MOST_BYTES, faults

EPOCH = "1700000000"
DATE = (2023, 11, 14, 22, 13, 20)


def wheel(
    folder: Path,
    name: str = "llamacy-0.1.0-cp311-abi3-linux_x86_64.whl",
    content: bytes = b"GLIBC_2.2.5 GLIBC_2.17",
    date: tuple[int, int, int, int, int, int] = DATE,
) -> Path:
    """Write a wheel of one module."""
    path = folder / name
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("llamacy/cpu.abi3.so", date), content)
    return path


@pytest.fixture(autouse=True)
def epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a time that all files must be of."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", EPOCH)


@pytest.mark.parametrize("tag", ["cp311-abi3-win_arm64", "cp314-cp314t-linux_x86_64"])
def test_a_good_wheel(tmp_path: Path, tag: str) -> None:
    assert list(faults(wheel(tmp_path, f"llamacy-0.1.0-{tag}.whl"))) == []


def test_a_wheel_for_one_python(tmp_path: Path) -> None:
    (fault,) = faults(wheel(tmp_path, "llamacy-0.1.0-cp314-cp314-win_arm64.whl"))
    assert "wanted a name with cp311-abi3 or cp314-cp314t" in fault


def test_a_large_wheel(tmp_path: Path) -> None:
    (fault,) = faults(wheel(tmp_path, content=bytes(MOST_BYTES)))
    assert f"wanted at most {MOST_BYTES} bytes" in fault


def test_a_wheel_of_another_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = wheel(tmp_path, date=(2023, 11, 14, 22, 12, 20))
    (fault,) = faults(path)
    assert "cpu.abi3.so: of (2023" in fault
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert list(faults(path)) == []


def test_a_path_of_the_builder(tmp_path: Path) -> None:
    (fault,) = faults(wheel(tmp_path, content=os.fsencode(Path.cwd() / "cpu.c")))
    assert "cpu.abi3.so: names" in fault


def test_a_newer_glibc_than_manylinux_has(tmp_path: Path) -> None:
    (fault,) = faults(wheel(tmp_path, content=b"GLIBC_2.14\0GLIBC_2.34"))
    assert "cpu.abi3.so: needs glibc 2.34" in fault
