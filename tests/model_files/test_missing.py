"""A model that is not there: the error names those that are near."""

from __future__ import annotations

import errno
import pickle
from pathlib import Path

import pytest

import llamacy
from llamacy.model_files.missing import check_exists


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("Qwen3-4B-Q4_K_M.gguf", "tiny.GGUF", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "babble").mkdir()
    (tmp_path / "babble/config.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("qwen3-4b-q4_k_s.gguf", r"did you mean Qwen3-4B-Q4_K_M\.gguf\?$"),
        ("Qwen3", r"did you mean Qwen3-4B-Q4_K_M\.gguf\?$"),
        ("./tinny.gguf", r"did you mean tiny\.GGUF\?$"),
        ("babbel", r"did you mean babble\?$"),
        ("smollm2:135m", r"on the hub: bartowski/SmolLM2-135M-Instruct-GGUF:Q4_K_M$"),
        ("notes", "llamacy models lists some that run, and a name like user/repo"),
        ("models/mine/7b.bin", "a model on the hub is a name like user/repo"),
        ("https://example.org/m.gguf", "only addresses of huggingface.co are fetched"),
    ],
)
@pytest.mark.parametrize("call", [llamacy.load, llamacy.inspect])
def test_the_error_says_what_may_be_meant(
    folder: Path, call: object, name: str, advice: str
) -> None:
    assert callable(call)
    with pytest.raises(llamacy.ModelFileError, match=advice) as caught:
        call(name)
    error = caught.value
    assert (error.errno, error.filename) == (errno.ENOENT, name)
    assert str(error).startswith(f"{name}: no such file or folder; ")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.errno) == (str(error), errno.ENOENT)


def test_an_unfinished_download_is_recognised(folder: Path, babble_model: Path) -> None:
    part = folder / "big.gguf.part"
    part.write_bytes(babble_model.read_bytes()[:-4096])
    with pytest.raises(llamacy.ModelFileError, match=r"there is .*big\.gguf\.part, an"):
        llamacy.inspect(folder / "big.gguf")
    with pytest.raises(llamacy.FormatError, match=r"\.part marks an unfinished"):
        llamacy.inspect(part)


def test_a_pointer_of_git_lfs_is_recognised(folder: Path) -> None:
    file = folder / "tiny.GGUF"
    file.write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    )
    with pytest.raises(llamacy.FormatError, match="git lfs pull"):
        llamacy.load(file)


def test_a_path_through_a_file_is_not_found(folder: Path) -> None:
    with pytest.raises(llamacy.ModelFileError, match="no such file") as caught:
        check_exists(folder / "notes.txt" / "model.gguf")
    assert caught.value.errno == errno.ENOTDIR


@pytest.mark.parametrize("name", ["a\0b.gguf", "x" * 5000])
def test_an_impossible_path_is_left_to_be_opened(name: str) -> None:
    check_exists(name)
    with pytest.raises(llamacy.ModelFileError):
        llamacy.load(name)
