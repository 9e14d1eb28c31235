"""The GGUF reader on broken and hostile files raises a clear error, and no more."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest

from llamacy.errors import FormatError, LlamacyError, UnsupportedError
from llamacy.formats.gguf.file import open_gguf
from llamacy.formats.gguf.header import MAX_TENSORS
from tests.support.gguf_bytes import (
    ARRAY,
    STRING,
    U32,
    Raw,
    bounded,
    key,
    refused,
    tensor,
    text,
    u32,
    u64,
)


def test_the_file_that_other_tests_corrupt_is_valid(path: Path) -> None:
    path.write_bytes(Raw(keys=[key("k", U32, u32(1))]).build())
    with open_gguf(path) as file:
        assert file.metadata == {"k": 1}
        assert file.tensors["t"].dequantize().tolist() == [0.0] * 32


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"G", "begins with b'G'"),
        (b"hello, world, this is text", "begins with b'hell'"),
        (bytes(100), "nothing but zeros"),
        (b"lmgg" + bytes(40), "older than GGUF"),
        (b"tjgg" + bytes(40), "older than GGUF"),
        (b"PK\x03\x04" + bytes(40), "zip archive"),
        (b"\x80\x02}q\x00" + bytes(40), "Python pickle"),
        (u64(60) + b'{"a":{"dtype":"F32"}}' + bytes(60), "safetensors"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
    ],
)
def test_files_of_other_formats_are_refused(
    path: Path, content: bytes, found: str
) -> None:
    assert found in refused(path, content).found  # type: ignore[operator]


def test_every_truncated_big_endian_file_is_refused(path: Path) -> None:
    writer = gguf.GGUFWriter(path, "llama", endianess=gguf.GGUFEndian.BIG)
    writer.add_array("words", ["a", "bc"])
    writer.add_tensor("t", np.ones(8, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    whole = path.read_bytes()
    for size in range(len(whole) - len(whole) % 32):
        refused(path, whole[:size])


def test_every_truncated_file_is_refused(path: Path) -> None:
    keys = [key("k", ARRAY, u32(STRING) + u64(2) + text("a") + text("b"))]
    whole = Raw(keys=keys, data=bytes(128)).build()
    for size in range(len(whole)):
        refused(path, whole[:size])


@pytest.mark.parametrize("version", [0, 1, 4, 2**31, 2**32 - 1])
def test_an_unknown_version_is_refused(path: Path, version: int) -> None:
    error = refused(path, Raw(version=version).build())
    found = "128" if version == 2**31 else str(version)  # as big-endian files have it
    assert (error.field, error.wanted, error.found) == ("version", "2 or 3", found)
    assert isinstance(error, UnsupportedError)


def test_a_little_endian_file_with_a_big_endian_version_is_refused(path: Path) -> None:
    assert refused(path, Raw(version=3 << 24, n_keys=1).build()).field == "tensor count"


huge = pytest.mark.parametrize("count", [2**16 + 1, 2**32, 2**60, 2**63, 2**64 - 1])


@huge
def test_huge_counts_are_refused(path: Path, count: int) -> None:
    assert refused(path, Raw(n_tensors=count).build()).field == "tensor count"
    assert refused(path, Raw(n_keys=count).build()).field == "metadata key count"


def test_counts_that_reach_beyond_the_file_are_refused(path: Path) -> None:
    assert "room for" in str(refused(path, Raw(n_tensors=MAX_TENSORS).build()))
    # counts that are only a little too large are noticed later
    refused(path, Raw(n_tensors=2, data=b"").build())
    refused(path, Raw(n_keys=2).build())


@huge
def test_huge_strings_are_refused(path: Path, count: int) -> None:
    values = [
        u64(count) + b"k" + u32(U32) + u32(1),
        key("k", STRING, u64(count) + b"abc"),
        key("k", ARRAY, u32(STRING) + u64(1) + u64(count) + b"abc"),
    ]
    for value in values:
        refused(path, Raw(keys=[value]).build())


@huge
@pytest.mark.parametrize("item", [*range(9), 10, 11, 12])
def test_huge_arrays_are_refused(path: Path, count: int, item: int) -> None:
    value = key("some.key", ARRAY, u32(item) + u64(count) + bytes(64))
    assert refused(path, Raw(keys=[value]).build()).field.startswith("some.key")


def test_nested_arrays_are_refused(path: Path) -> None:
    inner = u32(U32) + u64(1) + u32(7)
    error = refused(path, Raw(keys=[key("k", ARRAY, u32(9) + u64(1) + inner)]).build())
    assert isinstance(error, UnsupportedError)
    deep = (u32(ARRAY) + u64(1)) * 5000
    refused(path, Raw(keys=[key("k", ARRAY, deep)]).build())


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (key("k", 13, bytes(8)), "k: value type"),
        (key("k", 2**32 - 1, bytes(8)), "k: value type"),
        (key("k", ARRAY, u32(13) + u64(1) + bytes(8)), "k: item type"),
        (key("k", 7, b"\x02"), "k"),
        (key("k", ARRAY, u32(7) + u64(3) + b"\0\1\2"), "k"),
        (key("k", STRING, text(b"a\xff")), "k"),
        (key("k", ARRAY, u32(STRING) + u64(2) + text("a") + text(b"\xff")), "k[1]"),
        (key(b"\xff\xfe", U32, u32(1)), "metadata key 0"),
        (key("", U32, u32(1)), "metadata key 0"),
        (key("x" * 65536, U32, u32(1)), "metadata key 0: length"),
        (key("k", U32, u32(1)) + key("k", U32, u32(2)), "k"),
        (key("a\x1b[2J", 13, bytes(8)), "'a\\x1b[2J': value type"),
    ],
)
def test_broken_metadata_are_refused(path: Path, bad: bytes, field: str) -> None:
    n_keys = 2 if bad.count(text("k")) == 2 else 1
    error = refused(path, Raw(keys=[bad], n_keys=n_keys).build())
    assert error.field == field


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (U32, u32(0)),
        (U32, u32(4)),
        (U32, u32(48)),
        (U32, u32(1 << 31)),
        (5, struct.pack("<i", -32)),
        (10, u64(1 << 63)),
        (6, struct.pack("<f", 32.0)),
        (7, b"\1"),
        (STRING, text("x" * 10_000)),
        (ARRAY, u32(U32) + u64(1) + u32(32)),
    ],
)
def test_an_absurd_alignment_is_refused(path: Path, kind: int, payload: bytes) -> None:
    content = Raw(keys=[key("general.alignment", kind, payload)]).build()
    assert refused(path, content).field == "general.alignment"


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (tensor(""), "tensor 0: name"),
        (tensor(b"\xff"), "tensor 0: name"),
        (tensor("x" * 65), "tensor 0: name: length"),
        (tensor(sizes=()), "tensor t: dimensions"),
        (tensor(sizes=(1,) * 5), "tensor t: dimensions"),
        (text("t") + u32(2**32 - 1), "tensor t: dimensions"),
        (tensor(sizes=(0,)), "tensor t: shape"),
        (tensor(sizes=(32, 0)), "tensor t: shape"),
        (tensor(sizes=(33,), type_id=2), "tensor t: shape"),
        (tensor(sizes=(32, 8), type_id=12), "tensor t: shape"),
        (tensor(sizes=(65,)), "tensor t"),
        (tensor(sizes=(2**63, 2)), "tensor t"),
        (tensor(sizes=(2**32, 2**32)), "tensor t"),
        (tensor(sizes=(2**64 - 1,) * 4), "tensor t"),
        (tensor(offset=1), "tensor t: offset"),
        (tensor(offset=16), "tensor t: offset"),
        (tensor(offset=256), "tensor t"),
        (tensor(offset=2**64 - 32), "tensor t"),
        (tensor() + tensor(offset=128), "tensor t"),
        (tensor() + tensor("u"), "tensor u"),
        (tensor("v", offset=96) + tensor("u"), "tensor v"),
    ],
)
def test_broken_tensor_entries_are_refused(path: Path, bad: bytes, field: str) -> None:
    n_tensors = 2 if len(bad) > 60 and bad.count(u64(32)) == 2 else 1
    error = refused(path, Raw(tensors=[bad], n_tensors=n_tensors).build())
    assert error.field == field


@pytest.mark.parametrize(
    ("type_id", "name"), [(142, "PQ2_0"), (26, "I32"), (143, "PTQ1_0"), (4, "Q4_2")]
)
def test_an_unsupported_tensor_type_is_refused_by_name(
    path: Path, type_id: int, name: str
) -> None:
    error = refused(path, Raw(tensors=[tensor(type_id=type_id)]).build())
    assert isinstance(error, UnsupportedError)
    assert error.found == name
    assert "F32, F16, Q4_0" in str(error.wanted)
    path.write_bytes(Raw(tensors=[tensor(type_id=type_id)]).build())
    open_gguf(path, metadata_only=True).close()


@pytest.mark.parametrize(
    ("type_id", "n_bytes", "found"),
    [(42, 34, "128 weights in 34 bytes"), (40, 24, "32 weights in 6 bytes")],
)
@pytest.mark.parametrize("is_last", [False, True])
def test_early_types_of_prismml_are_told_from_their_sizes(
    path: Path, type_id: int, n_bytes: int, found: str, *, is_last: bool
) -> None:
    """Files of its llama.cpp from before llama.cpp gave the numbers another meaning."""
    early = tensor("u", sizes=(128, 32), type_id=type_id)
    size = 32 * n_bytes
    tensors = [early] if is_last else [early, tensor("t", offset=size)]
    data = bytes(size if is_last else size + 128)
    error = refused(path, Raw(tensors=tensors, data=data).build())
    assert isinstance(error, UnsupportedError)
    assert error.field == "tensor u: type"
    assert found in str(error.found)
    assert "as llama.cpp has it" in str(error.wanted)


def test_a_first_part_that_claims_to_be_a_later_one_is_refused(tmp_path: Path) -> None:
    """Following the names of parts must not lead in circles."""
    keys = [
        key("split.no", 2, struct.pack("<H", 1)),
        key("split.count", 2, struct.pack("<H", 2)),
    ]
    for number in (1, 2):
        part = tmp_path / f"m-0000{number}-of-00002.gguf"
        part.write_bytes(Raw(keys=keys).build())
    for number in (1, 2):
        with pytest.raises(FormatError, match=r"00001-of-00002\.gguf: split\.no"):
            open_gguf(tmp_path / f"m-0000{number}-of-00002.gguf")


@pytest.mark.parametrize("count", [2**40, 99_999])
def test_an_absurd_number_of_parts_is_refused(tmp_path: Path, count: int) -> None:
    path = tmp_path / f"m-00001-of-{min(count, 99_999)}.gguf"
    path.write_bytes(Raw(keys=[key("split.count", 10, u64(count))]).build())
    with pytest.raises(LlamacyError):
        open_gguf(path)


@pytest.mark.parametrize(
    "number",
    [
        key("split.no", ARRAY, u32(U32) + u64(2) + u64(0)),
        key("split.no", STRING, text("1")),
        key("split.no", 5, struct.pack("<i", -1)),
    ],
    ids=["array", "string", "negative"],
)
def test_a_part_number_of_another_type_is_refused(
    tmp_path: Path, number: bytes
) -> None:
    first = tmp_path / "m-00001-of-00002.gguf"
    second = tmp_path / "m-00002-of-00002.gguf"
    count = key("split.count", U32, u32(2))
    first.write_bytes(Raw(keys=[count]).build())
    second.write_bytes(Raw(keys=[count, number]).build())
    with pytest.raises(FormatError, match=r"split\.no"):
        open_gguf(first)


@pytest.mark.skipif(sys.platform == "win32", reason="files are not sparse there")
@pytest.mark.parametrize(
    ("item", "count", "message"),
    [
        (STRING, 2**30, "at most 4194304 strings"),
        (0, 2**33, "header must have ended"),
        (10, 2**30, "header must have ended"),
    ],
)
def test_a_large_sparse_file_is_refused_quickly(
    path: Path, item: int, count: int, message: str
) -> None:
    """A sparse file costs its author nothing, and must cost its reader little."""
    path.write_bytes(Raw(keys=[key("k", ARRAY, u32(item) + u64(count))]).build())
    with path.open("r+b") as file:
        file.truncate(1 << 34)
    with bounded(), pytest.raises(FormatError, match=message):
        open_gguf(path)
