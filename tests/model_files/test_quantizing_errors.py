"""Quantising that fails: the errors, and the files left after them."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest

import llamacy
from tests.support.quantizing import finish, leftovers


def test_ctrl_c_leaves_the_old_file(float_model: Path, target: Path) -> None:
    def interrupt(share: float) -> None:
        if share > 0.5:
            assert leftovers(target.parent, target)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        llamacy.quantize(float_model, target, "Q8_0", progress=interrupt)


def test_an_error_of_progress_is_raised_unchanged(
    float_model: Path, target: Path
) -> None:
    def fail(_: float) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        llamacy.quantize(float_model, target, "Q8_0", progress=fail)


def test_a_disk_that_gets_full_is_an_error_about_the_target(
    float_model: Path, target: Path
) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        with pytest.raises(llamacy.ModelFileError) as caught:
            llamacy.quantize(float_model, target, "Q8_0")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.filename == str(target)
    assert "File too large" in str(caught.value) or "written" in str(caught.value)


def test_a_full_disk_is_noticed_before_the_work(
    float_model: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil._ntuple_diskusage(10, 5, 5)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(llamacy.ModelFileError, match="5 are free") as caught:
        llamacy.quantize(float_model, target, "Q8_0")
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_weights_that_cannot_be_quantised_are_named(
    tmp_path: Path, target: Path, value: float
) -> None:
    writer = gguf.GGUFWriter(tmp_path / "bad.gguf", "llama")
    weights = np.ones((2, 256), np.float32)
    weights[1, 7] = value
    writer.add_tensor("bad.weight", weights)
    bad = finish(writer, tmp_path / "bad.gguf")
    found = "1e+30" if np.isfinite(value) else "NaN or infinity"
    with pytest.raises(llamacy.FormatError) as caught:
        llamacy.quantize(bad, target, "Q4_K_M")
    assert caught.value.field == "tensor bad.weight"
    assert caught.value.wanted == "finite weights within the range of Q4_K"
    assert caught.value.found == found


def test_invalid_arguments_of_quantize_are_refused(
    float_model: Path, target: Path, tmp_path: Path
) -> None:
    with pytest.raises(llamacy.ArgumentError, match="wanted one of F32.*'Q9'"):
        llamacy.quantize(float_model, target, "Q9")
    with pytest.raises(llamacy.ArgumentError, match="target: wanted a path"):
        llamacy.quantize("demo", None, "Q8_0")
    with pytest.raises(llamacy.ArgumentError, match="progress"):
        llamacy.quantize("demo", "x", "Q8_0", progress=3)  # type: ignore[arg-type]
    with pytest.raises(llamacy.ArgumentError, match="n_threads"):
        llamacy.quantize(float_model, target, "Q8_0", n_threads=0)
    with pytest.raises(llamacy.FormatError, match="GGUF"):
        llamacy.quantize(target, tmp_path / "new.gguf", "Q8_0")
    with pytest.raises(llamacy.ModelFileError, match="none"):
        llamacy.quantize(tmp_path / "none.gguf", target, "Q8_0")
    with pytest.raises(llamacy.ModelFileError, match="found a folder"):
        llamacy.quantize(float_model, target.parent, "Q8_0")
    with pytest.raises(llamacy.ModelFileError, match="nowhere"):
        llamacy.quantize(float_model, tmp_path / "nowhere" / "new.gguf", "Q8_0")
    with pytest.raises(llamacy.ModelFileError, match="null byte"):
        llamacy.quantize(float_model, "\0", "Q8_0")


def test_the_source_is_never_overwritten(babble_model: Path, tmp_path: Path) -> None:
    source, link = tmp_path / "model.gguf", tmp_path / "link.gguf"
    source.write_bytes(babble_model.read_bytes())
    os.link(source, link)
    for target in (source, link):
        with pytest.raises(llamacy.ArgumentError, match="another file"):
            llamacy.quantize(source, target, "Q4_0")
    assert source.read_bytes() == babble_model.read_bytes()


@pytest.mark.parametrize("kind", ["adapter", "imatrix"])
def test_files_that_are_no_models_are_refused(
    write_gguf: Callable[..., Path], tmp_path: Path, target: Path, kind: str
) -> None:
    path = tmp_path / "other.gguf"
    write_gguf(path, {"general.architecture": "llama", "general.type": kind}, {})
    with pytest.raises(llamacy.FormatError, match=f"wanted a model, .* found {kind}"):
        llamacy.quantize(path, target, "Q8_0")


def test_a_vocabulary_alone_is_refused(
    write_gguf: Callable[..., Path], tmp_path: Path, target: Path
) -> None:
    path = write_gguf(tmp_path / "words.gguf", {"general.architecture": "llama"}, {})
    with pytest.raises(llamacy.FormatError, match="weights of a model, found none"):
        llamacy.quantize(path, target, "Q8_0")
