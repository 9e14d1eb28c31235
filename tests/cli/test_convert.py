"""The output and errors of `llamacy convert`, with files older than GGUF."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import random_model
from old_files import OldModel

from llamacy.formats.gguf.file import open_gguf

Shell = Callable[..., Any]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The babble model in the format that Alpaca was distributed in."""
    pieces, scores, _ = random_model.vocabulary()
    spoken = [b"", b"", b"", *(bytes([byte]) for byte in range(256))]
    spoken += [
        piece.replace(random_model.SPACE, " ").encode() for piece in pieces[259:]
    ]
    tensors = random_model.tensors(len(pieces), 0)
    old = OldModel(
        "ggjt v1",
        "Q4_0",
        tensors,
        spoken,
        scores,
        random_model.N_HEAD,
        random_model.N_LAYER,
        float16_scales=False,
    )
    old.write(tmp_path / "old.bin")
    return tmp_path / "old.bin"


def test_an_old_file_becomes_a_gguf_file(
    shell: Shell, old: Path, tmp_path: Path
) -> None:
    new = tmp_path / "new.gguf"
    done = shell("convert", old, new, "--ctx", 64, "--eps", "1e-6", "--gqa", 2)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"{new}: from ggjt v1, ")
    assert "30 Q4_0" in done.out
    assert "rounded from float32" in done.out
    assert shell("run", new, "Once", "-n", 4).status == 0
    result = json.loads(shell("convert", old, new, "--json").out)
    assert (result["path"], result["source_format"]) == (str(new), "ggjt v1")
    with open_gguf(new) as file:
        assert file.metadata["llama.context_length"] == 2048


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ((), 2, "IN"),
        (("OLD",), 2, "OUT"),
        (("OLD", "OLD"), 1, "another file than the source"),
        (("NONE", "NEW"), 1, "none"),
        (("OLD", "NEW", "--gqa", "3"), 1, "gqa: wanted 2"),
    ],
)
def test_the_error_of_convert_is_one_line(
    shell: Shell,
    old: Path,
    tmp_path: Path,
    words: tuple[str, ...],
    status: int,
    message: str,
) -> None:
    new = tmp_path / "new.gguf"
    known = {"OLD": old, "NEW": new, "NONE": tmp_path / "none"}
    done = shell("convert", *(known.get(word, word) for word in words))
    assert (done.status, done.out) == (status, "")
    assert done.err.count("\n") == 1
    assert message in done.err
    assert not new.exists()


def test_running_an_old_file_says_how_to_convert_it(shell: Shell, old: Path) -> None:
    done = shell("run", old, "Once")
    assert done.status == 1
    assert "llamacy convert" in done.err
