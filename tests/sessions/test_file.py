"""Sessions on disk are restored completely or refused; old files stay."""

from __future__ import annotations

import os
import struct
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import llamacy
from llamacy.model.model import Model
from llamacy.ops.plan.plan import Plan
from llamacy.ops.reference import ReferenceSequence
from llamacy.sessions.file import Origin, load, save

PROMPT = "Once upon a time"
GREEDY: dict[str, Any] = {"temperature": 0}


@pytest.fixture(scope="module")
def path(shared: Path) -> Path:
    return shared / "models/stories260K-F32.gguf"


@pytest.fixture(scope="module")
def model(path: Path) -> Iterator[Model]:
    with llamacy.load(path, prompt_cache=0) as model:
        yield model


def n_pages(model: Model) -> int:
    assert isinstance(model.executor, Plan)
    return model.executor.n_pages_used


@pytest.mark.parametrize("kv_type", ["f16", "f32", "q8_0"])
def test_a_saved_session_continues_after_loading(
    path: Path, tmp_path: Path, kv_type: str
) -> None:
    file = tmp_path / "story.session"
    with llamacy.load(path, kv_type=kv_type) as model:
        with model.session() as session:
            session.generate(PROMPT, max_tokens=60, **GREEDY)
            session.save(file)
            wanted = session.generate(max_tokens=20, **GREEDY).tokens
        model.session().save(tmp_path / "empty")
        assert model.load_session(tmp_path / "empty").n_past == 0
    assert sorted(one.name for one in tmp_path.iterdir()) == ["empty", "story.session"]
    with llamacy.load(path, kv_type=kv_type) as model:
        with model.load_session(file) as session:
            assert session.n_past == 65
            out = session.generate(max_tokens=20, **GREEDY)
            assert out.tokens == wanted
            assert out.usage.cached_tokens == 64


def test_sequences_that_cannot_be_saved_are_refused(tmp_path: Path) -> None:
    origin, file = Origin("digest", "f32", 32, 64), tmp_path / "x.session"
    match = "executor: wanted sequences in pages, found ReferenceSequence"
    with pytest.raises(llamacy.ArgumentError, match=match):
        save(file, origin, [1], ReferenceSequence())
    assert not file.exists()
    with pytest.raises(llamacy.ArgumentError, match=match):
        load(file, origin, 8, 8, ReferenceSequence())


def test_a_session_of_another_model_is_refused(
    shared: Path, path: Path, tmp_path: Path
) -> None:
    file = tmp_path / "story.session"
    with llamacy.load(path) as model, model.session() as session:
        session.feed(PROMPT)
        session.save(file)
    with llamacy.load(shared / "models/stories260K-Q8_0.gguf") as other:
        with pytest.raises(llamacy.FormatError, match="header model: wanted"):
            other.load_session(file)
    with llamacy.load(path, kv_type="f32") as other:
        with pytest.raises(
            llamacy.FormatError, match="kv_type: wanted f32, found 'f16'"
        ):
            other.load_session(str(file))
    with llamacy.load(path, n_ctx=4) as other:
        with pytest.raises(llamacy.ContextLengthError):
            other.load_session(file)


def test_keys_of_long_texts_are_refused_where_all_texts_are_rotated_alike(
    model: Model, tmp_path: Path
) -> None:
    file = tmp_path / "long"
    with model.session() as session:
        session.feed(PROMPT)
        assert session.n_past > 0
        held = session._held.sequence
        assert held is not None
        held.n_long = 1
        session.save(file)
    with pytest.raises(llamacy.FormatError, match="header model: .*-long"):
        model.load_session(file)


def test_a_damaged_session_is_refused(model: Model, tmp_path: Path) -> None:
    file, bad = tmp_path / "story.session", tmp_path / "bad.session"
    with model.session() as session:
        session.generate(PROMPT, max_tokens=60, **GREEDY)
        session.save(file)
    data = file.read_bytes()
    random = np.random.default_rng(0)
    for _ in range(150):
        at, mask = int(random.integers(len(data))), int(random.integers(1, 256))
        mutant = bytearray(data)
        mutant[at] ^= mask
        if random.random() < 0.2:
            del mutant[at:]
        bad.write_bytes(mutant)
        try:
            model.load_session(bad).close()
        except (llamacy.FormatError, llamacy.ModelFileError) as error:
            assert "bad.session" in str(error)
    assert n_pages(model) == 0
    for content in (b"", b"text", data[:-30]):
        bad.write_bytes(content)
        with pytest.raises(llamacy.FormatError, match="bad.session"):
            model.load_session(bad)
    with pytest.raises(llamacy.ModelFileError):
        model.load_session(tmp_path / "none")
    with pytest.raises(llamacy.ModelFileError):
        model.load_session(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokens", b"abc", "tokens: wanted four bytes for each"),
        ("tokens", b"", "tokens: wanted 5 or more, found 0"),
        ("tokens", np.full(9, 512, "<i4").tobytes(), "ids from 0 to 511, found 512"),
        ("header.json", b"[1]", "header kind"),
        ("header.json", b"{", "a sound session file"),
        ("header.json", b'{"n_past": ' + b"1" * 5000 + b"}", "a sound session file"),
        ("pages/0", b"short", "pages/0: wanted .* bytes, found 5"),
        ("pages/0", None, "pages/0: wanted a part of this name, found none"),
    ],
)
def test_each_part_of_a_session_file_is_checked(
    model: Model, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    file, bad = tmp_path / "story.session", tmp_path / "bad.session"
    with model.session() as session:
        session.feed(PROMPT)
        session.save(file)
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(bad, "w") as changed:
        for part in source.namelist():
            data = content if part == name else source.read(part)
            if data is not None:
                changed.writestr(part, data)
    with pytest.raises(llamacy.FormatError, match=message):
        model.load_session(bad)


def test_a_session_cannot_be_saved_to_an_impossible_path(
    model: Model, tmp_path: Path
) -> None:
    with model.session() as session:
        session.feed(PROMPT)
        with pytest.raises(llamacy.ModelFileError):
            session.save(tmp_path / "no folder" / "story")
        (tmp_path / "folder").mkdir()
        with pytest.raises(llamacy.ModelFileError):
            session.save(tmp_path / "folder")
        for bad in (None, 5, b"story", object()):
            with pytest.raises(llamacy.ArgumentError, match="^path: wanted a path"):
                session.save(bad)  # type: ignore[arg-type]
            with pytest.raises(llamacy.ArgumentError, match="^path: wanted a path"):
                model.load_session(bad)  # type: ignore[arg-type]
        for unusable in ("a\0b", tmp_path / ("x" * 300)):
            with pytest.raises(llamacy.ModelFileError):
                session.save(unusable)
            with pytest.raises(llamacy.ModelFileError):
                model.load_session(unusable)
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders here")
def test_special_files_are_neither_replaced_nor_read(
    model: Model, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with model.session() as session:
        session.feed(PROMPT)
        with pytest.raises(llamacy.ModelFileError, match="not a regular file"):
            session.save(pipe)
        with pytest.raises(llamacy.ModelFileError, match="not a regular file"):
            model.load_session(pipe)
    assert pipe.is_fifo()


def test_saving_through_a_symbolic_link_replaces_its_target(
    model: Model, tmp_path: Path
) -> None:
    link, file = tmp_path / "link", tmp_path / "file"
    try:
        link.symlink_to(file)
    except OSError:
        pytest.skip("no links here")
    with model.session() as session:
        session.feed(PROMPT)
        session.save(link)
    assert link.is_symlink()
    with model.load_session(file) as session:
        assert session.text == PROMPT


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_only_the_owner_can_read_a_saved_session(model: Model, tmp_path: Path) -> None:
    file = tmp_path / "story.session"
    with model.session() as session:
        session.feed(PROMPT)
        session.save(file)
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_a_full_disk_leaves_the_old_session_file(model: Model, tmp_path: Path) -> None:
    import resource

    file = tmp_path / "story.session"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with model.session() as session:
        session.feed(PROMPT)
        session.save(file)
        saved = file.read_bytes()
        session.generate(max_tokens=40, **GREEDY)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(saved), before[1]))
        try:
            with pytest.raises(llamacy.ModelFileError):
                session.save(file)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert file.read_bytes() == saved
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("offset", [2**62, 2**63, 2**64 - 1])
def test_an_offset_beyond_any_file_is_refused(
    model: Model, tmp_path: Path, offset: int
) -> None:
    """A zip64 field says where the first part begins."""
    file = tmp_path / "story.session"
    with model.session() as session:
        session.feed(PROMPT)
        session.save(file)
    data = file.read_bytes()
    end = data.rindex(b"PK\x05\x06")
    (start,) = struct.unpack_from("<I", data, end + 16)
    (n_name,) = struct.unpack_from("<H", data, start + 28)
    entry = bytearray(data[start : start + 46 + n_name])
    extra = struct.pack("<HHQ", 1, 8, offset)
    struct.pack_into("<H", entry, 30, len(extra))
    struct.pack_into("<I", entry, 42, 2**32 - 1)
    rest, tail = data[start + len(entry) : end], bytearray(data[end:])
    struct.pack_into("<I", tail, 12, len(entry) + len(extra) + len(rest))
    file.write_bytes(data[:start] + entry + extra + rest + tail)
    with pytest.raises((llamacy.FormatError, llamacy.ModelFileError)):
        model.load_session(file)
