"""The bundled model on the command line: what the README opens with."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from typing import Any

Shell = Callable[..., Any]


def test_a_story(shell: Shell) -> None:
    done = shell("run", "demo", "Once upon a time", "-s", 1)
    assert done.status == 0
    assert re.match(r", .*\n(.*\n)*.*[.!\"]\n$", done.out)


def test_without_a_prompt_it_explains_itself(shell: Shell) -> None:
    done = shell("run", "demo")
    assert done.status == 0
    assert "toy" in done.out
    commands = re.findall(r"^ +llamacy (.*)$", done.out, re.M)
    answers = [shell(*shlex.split(command)).out for command in commands]
    assert len(answers) == 2
    assert answers[1] == "c-a-t\n"


def test_other_commands_know_it(shell: Shell) -> None:
    assert json.loads(shell("show", "demo", "--json").out)["n_tensors"] > 0
    assert json.loads(shell("tokenize", "demo", "a", "--json").out)["n_tokens"] == 2
    assert json.loads(shell("score", "demo", "The cat", "--json").out)["tokens"]
