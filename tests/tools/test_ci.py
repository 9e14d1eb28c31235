"""The script of all checks: its choice of stages, and what runs beside a stage."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / ".ci/run"
RUNS_THEM = "# --- running them"
STAGES = """
stage_first() { mkdir "$work/dist"; } # from now on environments are made ahead
stage_second() { apt_install for-second; }
install_third() { apt_install for-third; }
stage_third() { :; }
"""
# Fails if another one runs
APT = """#!/bin/sh
mkdir "$APT_RUNS" || exit 1
sleep 0.2
echo "$@" >>"$APT_RUNS.log"
rmdir "$APT_RUNS"
"""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not SCRIPT.exists(), reason="a script for Linux"
)


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The script with three more stages, an apt-get that only tells, and no git."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("apt-get", APT), ("git", "#!/bin/sh\necho 0\n")):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("APT_RUNS", str(tmp_path / "apt"))
    monkeypatch.setenv("PYTHON", sys.executable)
    copy = tmp_path / ".ci/run"
    copy.parent.mkdir()
    text = SCRIPT.read_text(encoding="utf-8")
    assert RUNS_THEM in text
    copy.write_text(text.replace(RUNS_THEM, STAGES + RUNS_THEM), encoding="utf-8")
    return copy


def run(script: Path, *stages: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(script), *stages], capture_output=True, text=True, timeout=60
    )


def stages_run(output: str) -> list[str]:
    lines = [line for line in output.splitlines() if line.startswith("=== ")]
    return [line.removeprefix("=== ") for line in lines[:-1]]  # the last: the machine


def test_an_unknown_stage_ends_it_before_any_begins(script: Path) -> None:
    done = run(script, "first", "frits")
    assert done.returncode == 2
    assert "no stage is called 'frits'; there are: lint docs" in done.stderr
    assert not stages_run(done.stdout)


def test_a_stage_that_is_named_twice_runs_once(script: Path) -> None:
    done = run(script, "first", "third", "first", "third")
    assert done.returncode == 0, done.stdout + done.stderr
    assert stages_run(done.stdout) == ["first", "third"]


def test_apt_runs_once_at_a_time(script: Path, tmp_path: Path) -> None:
    """The environment of the third is made while the second needs apt as well."""
    done = run(script, "first", "second", "third")
    assert done.returncode == 0, done.stdout + done.stderr
    told = (tmp_path / "apt.log").read_text()
    assert "for-second" in told
    assert "for-third" in told
