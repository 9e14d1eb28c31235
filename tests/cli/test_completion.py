"""Completing words in a shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import llamacy
from llamacy.cli.completion import Shell as Kind
from llamacy.cli.completion import model_names

Shell = Callable[..., Any]


@pytest.mark.parametrize("kind", list(Kind))
def test_every_shell_has_a_script_that_calls_llamacy(shell: Shell, kind: Kind) -> None:
    done = shell("completion", kind.value)
    assert (done.status, done.err) == (0, "")
    assert f"complete_{kind.value}" in done.out
    assert "llamacy" in done.out


def test_an_unknown_shell_is_refused(shell: Shell) -> None:
    done = shell("completion", "tcsh")
    assert (done.status, done.out) == (2, "")
    assert "bash" in done.err


def test_models_are_completed_from_demo_the_cache_and_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    for name in ("dolphin.gguf", "mistral.gguf", "notes.txt"):
        (tmp_path / name).touch()
    assert model_names("") == ["demo", "dolphin.gguf", "mistral.gguf"]
    assert model_names("d") == ["demo", "dolphin.gguf"]
    assert model_names("other/") == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_commands_options_and_models(tmp_path: Path) -> None:
    command = tmp_path / "llamacy"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m llamacy "$@"\n')
    command.chmod(0o755)
    script = """
    eval "$(llamacy completion bash)"
    complete_words() {
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _llamacy_completion llamacy
        echo "${COMPREPLY[@]}"
    }
    complete_words llamacy quan
    complete_words llamacy run de
    complete_words llamacy run demo -ngl 99 --hide
    complete_words llamacy quantize demo --ten
    """
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={
            **os.environ,
            "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(Path(llamacy.__file__).parents[1]),
        },
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "quantize",
        "demo",
        "--hide-reasoning",
        "--tensor-type --tensor-type-file",
    ]
