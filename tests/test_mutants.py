"""Spoilt files are refused or work, from the first byte to generated text: no crash, no
hang, no large allocation.

LLAMACY_MUTANTS=20000 in the environment tries so many of each model, not a few hundred.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

MUTANTS = Path(__file__).with_name("mutants.py")
COUNT = int(os.environ.get("LLAMACY_MUTANTS", "400"))
SECONDS = 30 + COUNT // 20  # far above what a busy machine needs


@pytest.fixture(params=["invented", "trained"])
def model(request: pytest.FixtureRequest) -> Path:
    if request.param == "invented":
        return Path(request.getfixturevalue("babble_model"))
    return Path(request.getfixturevalue("shared")) / "models/stories260K-Q8_0.gguf"


def test_mutants_are_refused_or_work(model: Path, tmp_path: Path) -> None:
    # in a process of its own: what ends it is to fail one test, and to be named
    command = [sys.executable, *map(str, (MUTANTS, model, tmp_path, 0, COUNT))]
    with (tmp_path / "out").open("w+") as out:
        run = subprocess.run(
            command, stdout=out, stderr=out, timeout=SECONDS, check=False
        )
        out.seek(0)
        said = out.read()
    assert run.returncode == 0, f"the last seed: {said[-2000:]}"
    tried, worked = map(int, re.findall(r"(\d+) (?:tried|worked)", said))
    assert tried == COUNT
    # some changes do no harm, most do: else the mutants would be of one kind only
    assert COUNT // 20 < worked < COUNT // 2
