"""Importance matrices: both forms of files, and files that are broken."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.formats.gguf.file import open_gguf
from llamacy.formats.imatrix import ImportanceMatrix, InputSums, read_imatrix
from tests.support import recurrent_model


def matrix() -> ImportanceMatrix:
    """Return one dense matrix, and a mixture with an expert that nothing chose."""
    rng = np.random.default_rng(0)
    experts = (100 * rng.random((3, 8))).astype(np.float32)
    experts[1] = 0
    entries = {
        "blk.0.attn_q.weight": InputSums(
            (1000 * rng.random((1, 4))).astype(np.float32), np.array([1024])
        ),
        "blk.0.ffn_up_exps.weight": InputSums(experts, np.array([700, 0, 1348])),
    }
    return ImportanceMatrix(entries, ("one.txt", "two.txt"), 2, 512)


def test_a_gguf_file_gives_back_everything(tmp_path: Path) -> None:
    matrix().save(tmp_path / "m.gguf")
    read = ImportanceMatrix.load(tmp_path / "m.gguf")
    assert (read.datasets, read.n_chunks, read.chunk_size) == (
        ("one.txt", "two.txt"),
        2,
        512,
    )
    assert list(read.entries) == list(matrix().entries)
    for name, (sums, counts) in matrix().entries.items():
        np.testing.assert_array_equal(read.entries[name].sums, sums)
        np.testing.assert_array_equal(read.entries[name].counts, counts)
    assert read.n_unused_experts == 1
    # the keys and tensors that llama.cpp reads
    reader = gguf.GGUFReader(tmp_path / "m.gguf")
    assert reader.fields["general.type"].contents() == "imatrix"
    assert reader.fields["imatrix.chunk_count"].contents() == 2
    assert "general.architecture" not in reader.fields
    assert [(each.name, each.shape.tolist()) for each in reader.tensors] == [
        ("blk.0.attn_q.weight.in_sum2", [4, 1]),
        ("blk.0.attn_q.weight.counts", [1, 1]),
        ("blk.0.ffn_up_exps.weight.in_sum2", [8, 3]),
        ("blk.0.ffn_up_exps.weight.counts", [1, 3]),
    ]


def test_a_dat_file_gives_back_the_means(tmp_path: Path) -> None:
    matrix().save(tmp_path / "m.dat")
    read = read_imatrix(tmp_path / "m.dat")
    assert (read.datasets, read.n_chunks) == (("two.txt",), 2)
    for name, shape in (
        ("blk.0.attn_q.weight", (6, 4)),
        ("blk.0.ffn_up_exps.weight", (3, 6, 8)),
    ):
        want, got = matrix().importance(name, shape), read.importance(name, shape)
        assert want is not None
        assert got is not None
        np.testing.assert_allclose(got, want, rtol=1e-6)
    data = (tmp_path / "m.dat").read_bytes()
    assert data[:27] == struct.pack("<ii19s", 2, 19, b"blk.0.attn_q.weight")


def test_names_of_the_same_inputs_are_found() -> None:
    experts = matrix().entries["blk.0.ffn_up_exps.weight"]
    ones = np.ones((1, 4), np.float32)
    made = ImportanceMatrix(
        {
            "blk.0.attn_q.weight": InputSums(ones, np.array([2])),
            "blk.0.ffn_gate_exps.weight": experts,
        }
    )
    fused = made.importance("blk.0.attn_qkv.weight", (12, 4))
    assert fused is not None
    np.testing.assert_array_equal(fused, 0.5)
    alone = made.importance("blk.0.ffn_gate.2.weight", (5, 8))
    assert alone is not None
    np.testing.assert_allclose(alone[0], experts.sums[2] / 1348, rtol=1e-6)
    unused = made.importance("blk.0.ffn_gate.1.weight", (5, 8))
    assert unused is not None
    np.testing.assert_array_equal(unused, 1)
    assert made.importance("blk.0.ffn_gate.3.weight", (5, 8)) is None
    assert made.importance("blk.1.attn_q.weight", (4, 4)) is None
    names = {"blk.0.attn_qkv.weight", "blk.0.ffn_gate_up_exps.weight", "blk.1.attn_qkv"}
    named = made.named_as(names).entries
    assert named["blk.0.attn_qkv.weight"] is made.entries["blk.0.attn_q.weight"]
    assert named["blk.0.ffn_gate_up_exps.weight"] is experts
    assert len(named) == 4


@pytest.mark.parametrize("family", ["lfm2", "mamba2", "jamba"])
def test_matrices_that_are_read_in_parts_have_an_importance(
    tmp_path: Path,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., dict[str, NDArray[np.float32]]],
    family: str,
) -> None:
    """Of recurrent layers those that make what is convolved, and gates."""
    write = recurrent_model.write
    path = write(tmp_path, write_gguf, llama_metadata, random_tensors, family)
    with llamacy.load(path) as model:
        made = llamacy.imatrix(model, "Some words. " * 99, n_ctx=64, n_chunks=1)
    with open_gguf(path) as file:
        name = "shortconv.in_proj" if family == "lfm2" else "ssm_in"
        of_layers = [each for each in file.tensors if name in each]
        assert len(of_layers) == 3
        for each in of_layers:
            found = made.importance(each, file.tensors[each].shape)
            assert found is not None
            assert (found > 0).all()


def test_what_two_texts_gave_adds_up() -> None:
    one, other = matrix(), matrix()
    both = one.plus(other)
    assert both.n_chunks == 4
    name = "blk.0.ffn_up_exps.weight"
    np.testing.assert_array_equal(both.entries[name].counts, [1400, 0, 2696])
    np.testing.assert_allclose(both.entries[name].sums, 2 * one.entries[name].sums)
    wide = InputSums(np.ones((1, 9), np.float32), np.array([1]))
    with pytest.raises(llamacy.FormatError, match="wanted 24 numbers"):
        one.plus(ImportanceMatrix({name: wide}))


def test_every_beginning_of_a_file_is_refused(tmp_path: Path) -> None:
    for form in ("gguf", "dat"):
        whole, part = tmp_path / f"m.{form}", tmp_path / f"part.{form}"
        matrix().save(whole)
        data = whole.read_bytes()
        # the end may be left out: the text's name, the chunks, and padding
        may_end = {len(data) - 15, len(data) - 11}
        ends = set(range(len(data))) - may_end
        if form == "gguf":
            ends = set(range(0, len(data) - 32, 7))
        for end in ends:
            part.write_bytes(data[:end])
            with pytest.raises(llamacy.FormatError):
                read_imatrix(part)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"MZ\x90\x00" + bytes(60), "number of matrices .*wanted 1 to 65536"),
        (struct.pack("<ii", 1, -1), "length: wanted 0 to 4096, found -1"),
        (struct.pack("<ii1sii", 1, 1, b"a", 1, 2**31 - 1), "number of values"),
        (struct.pack("<ii1sii", 1, 1, b"\xff", 1, 1), "wanted UTF-8"),
        (struct.pack("<ii1siif", 1, 1, b"a", 1, 1, np.nan), "numbers from 0 to"),
        (struct.pack("<ii1siif", 1, 1, b"a", 1, 1, -1), "to 1e\\+25, found -1"),
        (struct.pack("<ii1siif", 1, 1, b"a", 1, 1, 1e37), "to 1e\\+25, found"),
        (2 * struct.pack("<i1siif", 1, b"a", 1, 1, 1), "name of matrix 1"),
    ],
)
def test_broken_dat_files_are_refused(
    tmp_path: Path, data: bytes, message: str
) -> None:
    if message == "name of matrix 1":
        data = struct.pack("<i", 2) + data
    (tmp_path / "m.dat").write_bytes(data)
    with pytest.raises(llamacy.FormatError, match=message):
        read_imatrix(tmp_path / "m.dat")


def test_broken_gguf_files_are_refused(tmp_path: Path) -> None:
    def write(**tensors: np.ndarray) -> Path:
        writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
        writer.add_uint32("imatrix.chunk_count", 1)
        for name, array in tensors.items():
            writer.add_tensor(name.replace("__", "."), array)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return tmp_path / "m.gguf"

    sums, counts = np.ones((1, 8), np.float32), np.ones((1, 1), np.float32)
    three = np.ones((1, 3), np.float32)
    for tensors, message in (
        ({"a__weight": sums}, "wanted an importance matrix, .* of type 'model'"),
        ({"a__in_sum2": sums}, "a.counts: wanted counts, found no such tensor"),
        (
            {"a__in_sum2": sums, "a__counts": three},
            "divisor of 8",
        ),
        ({"a__in_sum2": -sums, "a__counts": counts}, "to 1e\\+25, found -1"),
        ({"a__in_sum2": sums * np.inf, "a__counts": counts}, "to 1e\\+25, found inf"),
        ({"a__in_sum2": sums, "a__counts": counts * np.nan}, "a.counts: .* found nan"),
        ({"a__in_sum2": sums.astype(np.float16), "a__counts": counts}, "wanted F32"),
    ):
        with np.errstate(all="ignore"):
            path = write(**tensors)
        with pytest.raises(llamacy.FormatError, match=message):
            read_imatrix(path)


@pytest.mark.parametrize(
    ("key", "value"), [("chunk_size", 0), ("chunk_size", 2**31), ("chunk_count", 2**31)]
)
def test_chunks_that_a_dat_file_cannot_have_are_refused(
    tmp_path: Path, key: str, value: int
) -> None:
    matrix().save(tmp_path / "m.gguf")
    data = (tmp_path / "m.gguf").read_bytes()
    at = data.index(f"imatrix.{key}".encode()) + len(f"imatrix.{key}") + 4
    data = data[:at] + struct.pack("<I", value) + data[at + 4 :]
    (tmp_path / "m.gguf").write_bytes(data)
    with pytest.raises(llamacy.FormatError, match=f"imatrix.{key}: .*found {value}"):
        read_imatrix(tmp_path / "m.gguf")


def test_calls_beyond_int32_are_written_as_the_most(tmp_path: Path) -> None:
    """The means stay: they are what a `.dat` file is read for."""
    sums, shape = np.full((1, 4), 2.0**45, np.float32), (2, 4)
    one = ImportanceMatrix({"a": InputSums(sums, np.array([2**44]))}, chunk_size=1)
    one.save(tmp_path / "m.dat")
    means = read_imatrix(tmp_path / "m.dat").importance("a", shape)
    np.testing.assert_array_equal(means, np.full((1, 4), 2, np.float32))
    many = ImportanceMatrix({}, n_chunks=2**31 - 1)
    assert many.plus(many).n_chunks == 2**31 - 1


def test_files_that_cannot_be_written_or_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(llamacy.ModelFileError, match="none"):
        read_imatrix(tmp_path / "none.gguf")
    (tmp_path / "empty.gguf").touch()
    with pytest.raises(llamacy.FormatError, match="an importance matrix, found an emp"):
        read_imatrix(tmp_path / "empty.gguf")
    with pytest.raises(llamacy.ModelFileError):
        matrix().save(tmp_path / "none" / "m.dat")
    with pytest.raises(llamacy.ArgumentError, match="format: wanted one of gguf, dat"):
        matrix().save(tmp_path / "m", format="csv")
    matrix().save(tmp_path / "m.dat", format="gguf")
    assert (tmp_path / "m.dat").read_bytes()[:4] == b"GGUF"
