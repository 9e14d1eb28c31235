"""A forked child computes what its parent does, and does not hang."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

# forks in a process of its own, since pytest's may have run threads before
PROGRAM = """
import logging, os, sys
import llamacy

def forked(work):
    pid = os.fork()
    if pid == 0:
        os._exit(work())
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def generate(model):
    return model.generate("a", max_tokens=8, temperature=0.0).tokens

logging.basicConfig()
path, used = sys.argv[1], sys.argv[2] == "used"
with llamacy.load(path, n_threads=2 if used else 1) as model:
    expected = generate(model)

    def again():
        return 0 if generate(model) == expected else 1

    def anew():
        with llamacy.load(path, n_threads=2) as other:
            return 0 if generate(other) == expected else 1

    print(forked(again), forked(anew), generate(model) == expected)
"""


@pytest.mark.parametrize("parent", ["used", "unused"])
def test_a_child_generates(babble_model: Path, parent: str) -> None:
    run = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, babble_model, parent],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stdout.split() == ["0", "0", "True"], run.stderr
    assert ("uses one" in run.stderr) == (parent == "used")
