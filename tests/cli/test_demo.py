"""The bundled model on the command line, as in the README's first example."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

Shell = Callable[..., Any]


def test_the_demo_model_tells_a_story(shell: Shell) -> None:
    done = shell("run", "demo", "--raw", "Once upon a time", "-s", 1)
    assert done.status == 0
    assert re.match(r", .*\n(.*\n)*.*[.!\"]\n$", done.out)


def test_the_demo_model_answers_a_question(shell: Shell) -> None:
    done = shell("run", "demo", "What is the capital of France?", "--temp", 0)
    assert (done.status, done.out, done.err) == (0, "Paris\n", "")


def test_the_demo_model_answers_questions_of_a_chat(shell: Shell) -> None:
    asked = (
        "What is the capital of France?\nWhat is 12 + 30?\n"
        "What is the plural of cat?\n/bye\n"
    )
    done = shell("run", "demo", "--chat", "--temp", 0, input=asked)
    assert done.status == 0
    assert re.findall("Paris|42|cats", done.out) == ["Paris", "42", "cats"]


def test_every_command_accepts_demo_as_a_model(shell: Shell, tmp_path: Path) -> None:
    done = shell("quantize", "demo", tmp_path / "small.gguf", "Q4_0", "--json")
    assert json.loads(done.out)["tensor_types"]["Q4_0"] > 0
    assert json.loads(shell("show", "demo", "--json").out)["n_tensors"] > 0
    assert json.loads(shell("tokenize", "demo", "a", "--json").out)["n_tokens"] == 2
    assert json.loads(shell("score", "demo", "The cat", "--json").out)["tokens"]
