"""The output and errors of `llamacy rerank`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llamacy

Shell = Callable[..., Any]
DOCUMENTS = ["the cat lives here.", "a dog", "on the mat."]


def test_documents_are_printed_the_best_first(
    shell: Shell, cross_encoder: Path, tmp_path: Path
) -> None:
    with llamacy.load(cross_encoder) as model:
        wanted = list(model.rerank("who", DOCUMENTS))
    file = tmp_path / "documents.txt"
    file.write_text("\n".join(DOCUMENTS))
    for words, input in (
        (["who", *DOCUMENTS], ""),
        (["who", "-f", file], ""),
        (["who"], "\n".join(DOCUMENTS)),
    ):
        done = shell("rerank", cross_encoder, *words, "--json", input=input)
        found = [json.loads(line) for line in done.out.splitlines()]
        assert [(each["index"], each["score"]) for each in found] == wanted
        assert [each["document"] for each in found] == [
            DOCUMENTS[index] for index, _ in wanted
        ]
    done = shell("rerank", "-m", cross_encoder, "who", *DOCUMENTS, "-n", 1)
    index, score = wanted[0]
    assert done.out == f"{score:9.6f} {index:5} {DOCUMENTS[index]}\n"


def test_failures_say_why(shell: Shell, cross_encoder: Path, encoder: Path) -> None:
    assert "no query" in shell("rerank", cross_encoder).err
    assert "wanted a reranker" in shell("rerank", encoder, "who", "a").err
    done = shell("rerank", cross_encoder, "who", "cat " * 30)
    assert "documents[0]: 34 tokens do not fit" in done.err
    assert shell("rerank", cross_encoder, "who", "cat " * 30, "--truncate").out


def test_failures_of_a_file_say_which_line(
    shell: Shell, cross_encoder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "documents.txt"
    file.write_text("a\n" + "cat " * 30)
    done = shell("rerank", cross_encoder, "who", "-f", file)
    assert f"{file}, line 2: 34 tokens do not fit" in done.err
