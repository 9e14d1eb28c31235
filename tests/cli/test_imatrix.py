"""The output and errors of `llamacy imatrix`, and of quantize with its result."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import llamacy

Shell = Callable[..., Any]
TEXT = "Cosmo was not afraid of much, only of deep water and of owls. " * 20


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def test_a_matrix_is_made_and_used(shell: Shell, text: Path, tmp_path: Path) -> None:
    path, first = tmp_path / "demo.imatrix.gguf", tmp_path / "first.dat"
    words = ("imatrix", "demo", "-f", text, "-c", 64, "-t", 1)
    done = shell(*words, "--chunks", 2, "-o", first)
    assert (done.status, done.err) == (0, "")
    assert done.out == f"{first}: 42 matrices, 2 chunks of 64 tokens\n"
    done = shell(*words, "--chunk", 2, "--in-file", first, "-o", path, "--json")
    report = json.loads(done.out)
    assert (report["path"], report["n_matrices"]) == (str(path), 42)
    assert report["n_chunks"] > 2
    read = llamacy.ImportanceMatrix.load(path)
    assert read.datasets == ("text.txt", "text.txt")
    target = tmp_path / "small.gguf"
    done = shell("quantize", "demo", target, "IQ4_XS", "--imatrix", path, "-t", 1)
    assert done.status == 0
    assert "IQ4_XS" in done.out
    assert shell("run", target, "Once", "-n", 2, "--raw").status == 0


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("demo",), 2, "no text"),
        (("demo", "-f", "none.txt"), 1, "none.txt"),
        (("demo", "-f", "TEXT", "-c", "100000"), 1, "wanted at least one chunk"),
        (("demo", "-f", "TEXT", "-c", "64", "--chunk", "99"), 1, "first_chunk"),
        (("demo", "-f", "TEXT", "--in-file", "TEXT", "-c", "64"), 1, "importance"),
        (("demo", "-f", "TEXT", "-c", "64", "-o", "none/x.gguf"), 1, "none"),
    ],
)
def test_the_error_of_imatrix_is_one_line(
    shell: Shell,
    text: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    status: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = shell("imatrix", *(str(text) if word == "TEXT" else word for word in words))
    assert done.status == status
    assert done.err.count("\n") == 1
    assert message in done.err
    assert not (tmp_path / "imatrix.gguf").exists()
