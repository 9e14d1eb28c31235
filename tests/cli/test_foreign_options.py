"""Options that people know from llama.cpp, ollama and Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llamacy.cli.failures import UsageError
from llamacy.cli.foreign_options import without_foreign

Shell = Callable[..., Any]
TAKES_VALUE = {
    "-m": True,
    "--model": True,
    "-p": True,
    "-n": True,
    "--n-predict": True,
    "--temp": True,
    "--repeat-penalty": True,
    "--chat": False,
    "--raw": False,
}


@pytest.mark.parametrize(
    ("words", "own", "ignored"),
    [
        ("m.gguf -ngl 99 hi", "m.gguf hi", ["-ngl 99"]),
        ("-ngl -1 m.gguf", "m.gguf", ["-ngl -1"]),
        ("--n-gpu-layers=all hi", "hi", ["--n-gpu-layers=all"]),
        ("hi --mlock --no_mmap", "hi", ["--mlock", "--no_mmap"]),
        ("-fa hi", "hi", ["-fa"]),
        ("-fa on hi --color", "hi", ["-fa on", "--color"]),
        ("-p -fa -n -1", "-p -fa -n -1", []),
        ("-cnv -no-cnv", "--chat --raw", []),
        ("-hf user/repo:Q8_0 hi", "--model user/repo:Q8_0 hi", []),
        ("--predict=5 --repeat_penalty 2", "--n-predict=5 --repeat-penalty 2", []),
        ("--max-tokens 5 --num_predict=6", "--n-predict 5 --n-predict=6", []),
        ("hi --stream", "hi", ["--stream"]),
        ("hi -- -ngl 99", "hi -- -ngl 99", []),
        ("--nonsense -x - -5", "--nonsense -x - -5", []),
        ("hi -ngl", "hi", ["-ngl"]),
        ("-n=5 -p==x --temp=0 -5=x", "-n 5 -p =x --temp=0 -5=x", []),
    ],
)
def test_other_programs_options_are_translated_or_taken_out(
    words: str, own: str, ignored: list[str]
) -> None:
    found = without_foreign(words.split(), TAKES_VALUE)
    assert found == (own.split(), ignored)


def test_an_own_option_is_not_taken_for_another_programs() -> None:
    words = ["-b", "512", "-ngl", "1"]
    assert without_foreign(words, {"-b": True}) == (["-b", "512"], ["-ngl 1"])


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("--grammar", "--grammar-file FILE"),
        ("-ctk", "--kv-type"),
        ("--rope_freq_base", "the model's file"),
        ("--chat-template-file", "cat FILE"),
        ("-temp", "did you mean --temp?"),
        ("-model", "did you mean --model?"),
    ],
)
def test_an_option_that_would_change_the_text_is_refused(word: str, hint: str) -> None:
    with pytest.raises(UsageError, match=hint):
        without_foreign(["m.gguf", word, "1"], TAKES_VALUE)


def test_a_command_without_a_model_knows_its_own_options_alone() -> None:
    words = ["-ngl", "1", "--grammar", "x", "--num_predict", "5", "-n=5"]
    own = ["-ngl", "1", "--grammar", "x", "--n-predict", "5", "-n", "5"]
    assert without_foreign(words, TAKES_VALUE, runs_model=False) == (own, [])


@pytest.mark.parametrize("command", ["models", "show"])
def test_a_value_may_follow_an_option_and_an_equals_sign(
    shell: Shell, command: str, path: Path
) -> None:
    words = [command, "--json", *([path] if command == "show" else [])]
    done = shell(*words, "-c=128")
    assert (done.status, done.err) == (0, "")
    assert '"n_ctx": 128,' in done.out


@pytest.mark.parametrize("command", ["run", "score"])
def test_a_command_notes_once_which_options_have_no_effect(
    shell: Shell, command: str
) -> None:
    pasted = ["-ngl", 99, "-fa", "on", "-ub", 64]
    done = shell(command, "-m", "demo", *pasted, "-c", 64, "What is 2 + 3?")
    assert done.status == 0
    assert done.err == (
        "llamacy: without effect here: -ngl 99, -fa on, -ub 64 "
        "(llamacy runs on the CPU)\n"
    )
    assert done.out
    done = shell(command, "-m", "demo", "--mlock", "hi", "--keep", 4)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("llamacy: error: --keep: ")
