"""The command that measures drafts runs, and tells what they gain."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.bench.test_peers import ENVIRONMENT, PEERS

DRAFTING = PEERS.with_name("drafting.py")
MARK = "\n=== answer ===\n"


def test_each_text_is_generated_with_and_without_drafts(
    babble_model: Path, tmp_path: Path
) -> None:
    for kind, answer in (("grounded", "bada kidu lomo zeza"), ("free", "xyz")):
        path = tmp_path / kind / "text.txt"
        path.parent.mkdir()
        path.write_text(f"bada kidu lomo zeza{MARK}{answer}\n", encoding="utf-8")
    words = [babble_model, "-r", 1, "-t", 1, "--texts", tmp_path]
    command = [sys.executable, str(DRAFTING), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    for kind in ("grounded", "free"):
        assert re.search(rf"{kind} +text +\d+ tokens, tokens/s: plain", done.stdout)
        assert re.search(rf"{kind} +drafted/plain: \d+\.\d+ times", done.stdout)


def test_all_texts_have_a_prompt_and_an_answer() -> None:
    paths = sorted((DRAFTING.parent / "texts").glob("*/*.txt"))
    assert [path.parent.name for path in paths].count("grounded") == 10
    for path in paths:
        prompt, answer = path.read_text(encoding="utf-8").split(MARK)
        assert len(prompt.split()) > 5
        assert len(answer.split()) > 70
