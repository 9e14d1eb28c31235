"""Folders of safetensors as arguments of the commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import llamacy
from tests.support.hugging_face import write_babble

Shell = Callable[..., Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_babble(tmp_path_factory.mktemp("folder") / "babble")


def test_convert_accepts_a_folder(shell: Shell, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "new.gguf"
    done = shell("convert", folder, path)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"{path}: from safetensors, ")
    assert "39 F32" in done.out
    assert shell("run", path, "Once", "-n", 2, "-t", 1).status == 0
    done = shell("convert", folder, path, "q8_0", "--json", "-t", 1)
    result = json.loads(done.out)
    assert result["tensor_types"] == {"Q8_0": 30, "F32": 9}
    assert result["n_bytes"] < path.stat().st_size


def test_the_other_commands_accept_a_folder(
    shell: Shell, folder: Path, tmp_path: Path
) -> None:
    shown = json.loads(shell("show", folder, "--json").out)
    assert (shown["format"], shown["version"]) == ("safetensors", None)
    assert shown["n_tensors"] == 39
    assert shell("show", folder).out.startswith(f"{folder}: safetensors, 39 tensors")
    assert json.loads(shell("tokenize", folder, "ba be", "--json").out)["n_tokens"] == 3
    assert shell("quantize", folder, tmp_path / "new.gguf", "Q4_0").status == 0
    assert shell("run", folder, "ba be", "-n", 2, "-t", 1).status == 0


def test_weights_can_be_quantised_while_loading(shell: Shell, folder: Path) -> None:
    begin = json.loads(shell("show", folder, "--json").out)
    shown = json.loads(shell("show", folder, "--quantize", "q8_0", "--json").out)
    assert shown["metadata"]["general.file_type"] == 7
    for key in ("tensor_bytes", "bits_per_weight"):
        assert shown[key] < begin[key] / 3
    assert shown["memory"]["weights_bytes"] < begin["memory"]["weights_bytes"] / 2
    words = ("-p", 8, "-n", 4, "-r", 1, "-t", 1, "--no-limits", "--json")
    done = json.loads(shell("bench", folder, "--quantize", "Q8_0", *words).out)
    assert (done["model_type"], done["model_bytes"]) == ("Q8_0", shown["tensor_bytes"])
    assert json.loads(shell("bench", folder, *words).out)["model_type"] == "F32"
    run = ("run", folder, "--raw", "ba be", "-n", 4, "-t", 1, "--temp", 0, "--json")
    done = json.loads(shell(*run, "--quantize", "Q8_0").out)
    with llamacy.load(folder, quantize="Q8_0", n_threads=1) as model:
        assert model.generate("ba be", max_tokens=4, temperature=0).text == done["text"]
    score = ("score", folder, "ba be bi", "--json", "-t", 1)
    logprobs = [shell(*score, *more).out for more in ((), ("--quantize", "Q4_0"))]
    assert logprobs[0] != logprobs[1]
    done = shell(*run, "--quantize", "Q9")
    assert (done.status, done.out) == (1, "")
    assert "--quantize: wanted one of F32" in done.err


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ((), 2, "IN"),
        (("FOLDER",), 2, "OUT"),
        (("FOLDER", "OUT", "Q9"), 1, "wanted one of F32"),
        (("none", "OUT"), 1, "none"),
        ((".", "OUT"), 1, "config.json"),
        (("FOLDER", "."), 1, "found a folder"),
    ],
)
def test_the_error_of_converting_a_folder_is_one_line(
    shell: Shell,
    folder: Path,
    tmp_path: Path,
    words: tuple[str, ...],
    status: int,
    message: str,
) -> None:
    known = {"FOLDER": str(folder), "OUT": str(tmp_path / "new.gguf")}
    done = shell("convert", *(known.get(word, word) for word in words))
    assert done.status == status
    assert done.err.count("\n") == 1
    assert message in done.err
    assert not list(tmp_path.iterdir())
