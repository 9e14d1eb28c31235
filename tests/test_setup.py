"""setup.py refuses machines that the kernels cannot run on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SETUP = Path(__file__).resolve().parents[1] / "setup.py"


@pytest.mark.parametrize(
    ("pretence", "found"),
    [
        ("sys.byteorder = 'big'", "64-bit and big-endian"),
        ("sys.maxsize = 2**31 - 1", "32-bit and little-endian"),
    ],
)
def test_other_machines_are_refused(pretence: str, found: str) -> None:
    program = f"import runpy, sys; {pretence}; runpy.run_path({str(SETUP)!r})"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )
    assert done.returncode == 1
    wanted = "llamacy needs a 64-bit, little-endian Python; this one is"
    assert done.stderr == f"{wanted} {found}.\n"
