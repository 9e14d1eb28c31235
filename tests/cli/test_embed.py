"""The output, files, resumption and errors of `llamacy embed`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import llamacy
from llamacy.cli.vector_store import VectorStore

Shell = Callable[..., Any]
TEXTS = ["the cat sat", "", "who lives here?", "a dog", "on the mat."]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_bytes("\N{BOM}".encode() + "\r\n".join(TEXTS).encode() + b"\n")
    return path


@pytest.fixture
def wanted(encoder: Path) -> llamacy.Embeddings:
    with llamacy.load(encoder) as model:
        return model.embed(TEXTS)


def check(lines: str, wanted: llamacy.Embeddings) -> None:
    found = [json.loads(line) for line in lines.splitlines()]
    assert [each["index"] for each in found] == list(range(len(wanted)))
    assert tuple(each["n_tokens"] for each in found) == wanted.token_counts
    vectors = np.array([each["embedding"] for each in found], np.float32)
    np.testing.assert_array_equal(vectors, wanted)


def test_vectors_are_printed_as_json(
    shell: Shell, encoder: Path, file: Path, wanted: llamacy.Embeddings
) -> None:
    check(shell("embed", encoder, *TEXTS).out, wanted)
    check(shell("embed", "-m", encoder, *TEXTS).out, wanted)
    check(shell("embed", encoder, "-f", file).out, wanted)
    check(shell("embed", encoder, input="\n".join(TEXTS)).out, wanted)
    rows = "".join(f"{json.dumps({'a': 1, 'text': text})}\n" for text in TEXTS)
    check(
        shell("embed", encoder, "-f", "-", "--column", "text", input=rows).out, wanted
    )


def test_options_are_those_of_the_library(shell: Shell, encoder: Path) -> None:
    options = ["--pooling", "cls", "--dimensions", 8, "--no-normalize", "--truncate"]
    options += ["--prompt", "the ", "-t", 1]
    done = shell("embed", encoder, "cat", "cat " * 30, *options)
    with llamacy.load(encoder, n_threads=1) as model:
        wanted = model.embed(
            ["cat", "cat " * 30],
            pooling="cls",
            dimensions=8,
            normalize=False,
            truncate=True,
            prompt="the ",
        )
    check(done.out, wanted)


@pytest.mark.parametrize("suffix", ["npy", "jsonl"])
def test_files_have_the_same_vectors(
    shell: Shell,
    encoder: Path,
    file: Path,
    wanted: llamacy.Embeddings,
    tmp_path: Path,
    suffix: str,
) -> None:
    target = tmp_path / f"new.{suffix}"
    done = shell("embed", encoder, "-f", file, "-o", target)
    assert done.out == f"{target}: 5 texts, 64 numbers each\n"
    if suffix == "npy":
        found = np.load(target)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, wanted)
    else:
        check(target.read_text(), wanted)
    assert sorted(each.name for each in tmp_path.iterdir()) == [target.name, file.name]


def test_a_run_that_was_ended_goes_on_where_it_was(
    shell: Shell,
    encoder: Path,
    file: Path,
    wanted: llamacy.Embeddings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target, add = tmp_path / "new.npy", VectorStore.add
    monkeypatch.setattr(sys.modules["llamacy.cli.embed"], "_N_TEXTS", 2)

    def interrupt(store: VectorStore, *some: Any) -> None:
        if store.n_done == 4:
            raise KeyboardInterrupt
        add(store, *some)

    with monkeypatch.context() as patch:
        patch.setattr(VectorStore, "add", interrupt)
        assert shell("embed", encoder, "-f", file, "-o", target).status == 130
    part = tmp_path / "new.npy.part"
    assert not target.exists()
    whole = part.read_bytes()
    part.write_bytes(whole[:-7])  # as where the disk was full
    done = shell("embed", encoder, "-f", file, "-o", target)
    assert done.out == f"{target}: 5 texts, 3 of them from before, 64 numbers each\n"
    np.testing.assert_array_equal(np.load(target), wanted)
    assert not part.exists()

    part.write_bytes(whole)
    for options, message in (
        (["--dimensions", 8], "of another run, with another dimensions, n_dim: "),
        (["--truncate"], "of another run, with another truncate: remove it"),
        (["-c", 9], "of another run, with another ctx-size: remove it"),
    ):
        done = shell("embed", encoder, "-f", file, "-o", target, *options)
        assert (done.status, message in done.err) == (2, True)
    file.write_text("the cat sat\n\nwho\n")
    done = shell("embed", encoder, "-f", file, "-o", target)
    assert "line 3: another text than in" in done.err
    file.write_text("the cat sat\n")
    done = shell("embed", encoder, "-f", file, "-o", target)
    assert "wanted at least the 4 texts of" in done.err
    assert part.read_bytes() == whole


def test_a_file_is_not_written_over_itself(
    shell: Shell, encoder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": "a dog"}\n')
    (tmp_path / "same.jsonl").symlink_to(path)
    options = ["--column", "text", "-o", tmp_path / "same.jsonl"]
    done = shell("embed", encoder, "-f", path, *options)
    assert done.status == 2
    assert "-o: wanted another file than -f" in done.err
    assert path.read_text() == '{"text": "a dog"}\n'


def test_a_run_that_failed_before_any_vector_leaves_no_file(
    shell: Shell, encoder: Path, tmp_path: Path
) -> None:
    file, target = tmp_path / "texts.txt", tmp_path / "new.npy"
    file.write_text("cat " * 30)
    words = ("embed", encoder, "-f", file, "-o", target)
    assert "do not fit into a context" in shell(*words).err
    assert list(tmp_path.iterdir()) == [file]
    assert shell(*words, "--truncate").status == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")
def test_a_file_that_another_run_is_writing_is_left_alone(
    shell: Shell, encoder: Path, file: Path, tmp_path: Path
) -> None:
    target = tmp_path / "new.npy"
    with VectorStore(str(target), {}, 64) as store:
        store.add(["a"], [3], np.ones((1, 64), np.float32))
        whole = Path(store.path).read_bytes()
        done = shell("embed", encoder, "-f", file, "-o", target)
        assert (done.status, Path(store.path).read_bytes()) == (2, whole)
        assert done.err == (
            f"llamacy: error: {store.path}: another process is writing it\n"
        )


@pytest.mark.parametrize(
    ("words", "data", "message", "status"),
    [
        (["-f", "F"], b"a\n\xff\n", "line 2: not UTF-8: byte 0xff at 0", 2),
        (["-f", "F"], "a".encode("utf-16"), "wanted UTF-8, found UTF-16", 2),
        (["-f", "F", "--column", "x"], b'{"x": 1}', "line 1: wanted an object with", 2),
        (["-f", "F", "--column", "x"], b"{", "line 1: not JSON: ", 2),
        (["-f", "F", "--column", "x"], b"[" * 99999, "line 1: not JSON: maximum", 2),
        (["-f", "F"], b"a\n" + b"cat " * 30, "line 2: 32 tokens do not fit into a", 1),
        (
            ["-f", "F", "-o", "x.csv"],
            b"a",
            "-o: wanted a name that ends in",
            2,
        ),
        (
            ["-f", "F", "--pooling", "none"],
            b"a",
            "--pooling: wanted mean",
            2,
        ),
        (["a", "-f", "F"], b"a", "-f: wanted texts in a file or as arguments, fou", 2),
        (["a", "-o", "x.npy"], b"", "-o: wanted -f FILE beside it, found texts", 2),
        (["-f", "F/nothing"], b"", "Not a directory", 1),
        (["-f", "F", "-o", "none/x.npy"], b"a", "No such file or directory", 1),
    ],
)
def test_failures_say_which_line(
    shell: Shell,
    encoder: Path,
    tmp_path: Path,
    words: list[str],
    data: bytes,
    message: str,
    status: int,
) -> None:
    file = tmp_path / "F"
    file.write_bytes(data)
    done = shell("embed", encoder, *(word.replace("F", str(file), 1) for word in words))
    assert message in done.err
    assert (done.status, done.err.count("\n")) == (status, 1)


def test_lines_of_json_need_a_column(
    shell: Shell, encoder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": "a"}\n')
    done = shell("embed", encoder, "-f", path)
    assert "--column names the field with the text" in done.err
    assert shell("embed", encoder, "-f", path, "--column", "text").status == 0


def test_parquet_needs_a_package(
    shell: Shell, encoder: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    done = shell("embed", encoder, "-f", file, "-o", "new.parquet")
    assert "'pyarrow', which Parquet files need: run `pip install" in done.err
