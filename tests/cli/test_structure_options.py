"""`llamacy run` with a form that its text must follow."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Shell = Callable[..., Any]
SCHEMA = {"type": "object", "properties": {"n": {"enum": [1, 22]}}, "required": ["n"]}


@pytest.fixture
def constrained() -> None:
    pytest.importorskip("llguidance")


@pytest.mark.usefixtures("constrained")
@pytest.mark.parametrize("flag", ["-j", "--json-schema"])
def test_a_schema_is_a_word_or_a_file(
    shell: Shell, path: Path, tmp_path: Path, flag: str
) -> None:
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(SCHEMA), encoding="utf-8")
    for given in (json.dumps(SCHEMA), file):
        done = shell("run", path, "Once", flag, given, "-s", 1)
        assert (done.status, done.err) == (0, "")
        assert json.loads(done.out)["n"] in (1, 22)
    done = shell("run", path, "Once", flag, file, "--json", "-s", 1)
    result = json.loads(done.out)
    assert json.loads(result["text"]) == result["parsed"]
    assert "parsed" not in json.loads(shell("run", path, "a", "-n", 1, "--json").out)


@pytest.mark.usefixtures("constrained")
def test_a_regex_and_a_grammar_are_followed(
    shell: Shell, path: Path, babble_model: Path, tmp_path: Path
) -> None:
    file = tmp_path / "a.gbnf"
    file.write_text('root ::= "yes" | "no"', encoding="utf-8")
    assert shell("run", path, "Once", "--grammar-file", file).out in ("yes\n", "no\n")
    for model, more in ((path, ()), (babble_model, ()), (babble_model, ("--raw",))):
        done = shell("run", model, "Once", "--regex", "[0-9]{3}", *more)
        assert len(done.out.strip()) == 3
        assert done.out.strip().isdecimal()


@pytest.mark.usefixtures("constrained")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-j", "{"], "--json-schema: wanted JSON"),
        (["-j", "none.json"], "none.json: No such file"),
        (["-j", '{"not": {}}'], "json_schema: #/not: wanted a keyword"),
        (["--regex", "a", "-j", "{}"], "--json-schema and --regex: wanted one of them"),
        (["--grammar-file", "none.gbnf"], "none.gbnf: No such file"),
    ],
)
def test_a_bad_form_is_refused_before_the_model_is_loaded(
    shell: Shell, words: list[str], message: str
) -> None:
    done = shell("run", "none.gguf", "Once", *words)
    assert done.status != 0
    assert message in done.err


def test_without_llguidance_the_command_says_what_to_install(
    shell: Shell, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "llguidance", None)
    done = shell("run", path, "Once", "--regex", "a")
    assert done.status != 0
    assert "pip install 'llguidance>=1.9'" in done.err
