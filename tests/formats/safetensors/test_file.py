"""Valid safetensors files are read to the bit, others are refused with a reason."""

from __future__ import annotations

import json
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from llamacy.errors import ClosedError, FormatError, ModelFileError, UnsupportedError
from llamacy.formats.mapped_file import MappedFile
from llamacy.formats.safetensors.file import read_header
from llamacy.formats.safetensors.folder import SafetensorsFolder, open_safetensors
from tests.support.hugging_face import write_json, write_raw, write_safetensors

RNG = np.random.default_rng(0)
SOUND: dict[str, NDArray[Any]] = {
    "matrix": RNG.standard_normal((3, 4), np.float32),
    "half": RNG.standard_normal((2, 5)).astype(np.float16),
    "brain": RNG.integers(0, 0x7F00, (2, 2, 2), np.uint16),
    "one": np.ones(1, np.float32),
}
INDEX = "model.safetensors.index.json"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def opened(path: Path) -> SafetensorsFolder:
    return open_safetensors(path.parent)


def test_a_valid_file_is_read_to_the_bit(path: Path) -> None:
    write_safetensors(path, SOUND)
    file = opened(path)
    assert file.paths == (path,)
    assert list(file.tensors) == list(SOUND)
    for name, values in SOUND.items():
        tensor = file.tensors[name]
        assert (tensor.shape, tensor.n_bytes) == (values.shape, values.nbytes)
        assert tensor.data.tobytes() == values.tobytes()
        floats = values.astype(np.float32)
        if values.dtype == np.uint16:
            floats = (values.astype(np.uint32) << 16).view(np.float32)
        np.testing.assert_array_equal(tensor.dequantize(), floats)
    assert [each.type.name for each in file.tensors.values()] == [
        "F32",
        "F16",
        "BF16",
        "F32",
    ]
    file.close()
    with pytest.raises(ClosedError):
        _ = file.tensors["matrix"].data


def test_files_of_the_safetensors_library_are_read(path: Path) -> None:
    library = pytest.importorskip("safetensors.numpy")
    floats = {name: SOUND[name] for name in ("matrix", "half")}
    library.save_file(floats, path, metadata={"format": "pt", "note": "{[,]}"})
    file = opened(path)
    assert set(file.tensors) == set(floats)
    for name, values in floats.items():
        assert file.tensors[name].data.tobytes() == values.tobytes()


def entry(**changes: Any) -> dict[str, Any]:
    sound = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
    return sound | changes


def two(first: list[int], second: list[int]) -> dict[str, Any]:
    return {
        "a": entry(data_offsets=first),
        "b": entry(data_offsets=second),
    }


DEEP = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
HOSTILE: dict[str, tuple[Any, int, str]] = {
    "overlap": (two([0, 16], [8, 24]), 24, "tensor b: data_offsets"),
    "the same bytes": (two([0, 16], [0, 16]), 16, "data_offsets"),
    "a hole": (two([0, 16], [20, 36]), 36, "a hole before them"),
    "a hole at the start": ({"a": entry(data_offsets=[4, 20])}, 20, "a hole"),
    "bytes left over": ({"a": entry()}, 17, "where the last tensor ends"),
    "bytes missing": ({"a": entry()}, 15, "a range within the 15 bytes"),
    "beyond the end": ({"a": entry(data_offsets=[2**62, 2**62 + 16])}, 16, "a range"),
    "backwards": ({"a": entry(data_offsets=[16, 0])}, 16, "a range"),
    "below zero": ({"a": entry(data_offsets=[-16, 0])}, 16, "a range"),
    "one offset": ({"a": entry(data_offsets=[0])}, 16, "two whole numbers"),
    "offsets with fractions": ({"a": entry(data_offsets=[0.0, 16.0])}, 16, "two whole"),
    "offsets that are truths": ({"a": entry(data_offsets=[False, 16])}, 16, "two who"),
    "size and shape": ({"a": entry(shape=[2, 3])}, 16, r"24 bytes for F32 of \(2, 3\)"),
    "size and dtype": ({"a": entry(dtype="F16")}, 16, "8 bytes for F16"),
    "negative": ({"a": entry(shape=[-2, -2])}, 16, "sizes from 0"),
    "huge": ({"a": entry(shape=[2**62, 2**62])}, 16, "sizes from 0"),
    "many dimensions": ({"a": entry(shape=[1] * 9)}, 16, "at most 8 whole numbers"),
    "a shape in words": ({"a": entry(shape="2x2")}, 16, "whole numbers"),
    "a dtype in numbers": ({"a": entry(dtype=1)}, 16, "dtype: wanted a string"),
    "no shape": ({"a": {"dtype": "F32", "data_offsets": [0, 16]}}, 16, "dtype, shape"),
    "more than that": ({"a": entry(stride=[1])}, 16, "dtype, shape, data_offsets"),
    "no object": ({"a": [1]}, 16, "tensor a"),
    "no name": ({"": entry()}, 16, "a name, found an empty one"),
    "metadata of numbers": ({"__metadata__": {"a": 1}}, 0, "an object of strings"),
    "metadata in a list": ({"__metadata__": []}, 0, "an object of strings"),
    "the name twice": (
        b'{"a":%(a)b,"a":%(a)b}' % {b"a": json.dumps(entry()).encode()},
        16,
        "a key once",
    ),
    "no JSON": (b'{"a": ', 0, "JSON text"),
    "no UTF-8": (b'{"\xff": 1}', 0, "JSON text"),
    "brackets": (DEEP, 0, "nested in each other"),
    "a long number": (b'{"a": %b}' % (b"9" * 5000), 0, "JSON text"),
    "too many items": (b'{"a": [' + b"1," * (1 << 22) + b"1]}", 0, "at most 4194304"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_headers_are_refused(path: Path, name: str) -> None:
    header, n_bytes, message = HOSTILE[name]
    write_raw(path, header, bytes(n_bytes))
    begin = time.thread_time()
    with pytest.raises(FormatError, match=message) as caught:
        opened(path)
    assert time.thread_time() - begin < 5
    assert caught.value.path == str(path)


def test_an_unknown_type_is_named(path: Path) -> None:
    write_raw(path, {"a": entry(dtype="a new one")}, bytes(16))
    with pytest.raises(UnsupportedError, match="one of F32, F16, BF16") as caught:
        opened(path)
    assert caught.value.found == "a new one"


@pytest.mark.parametrize(
    ("dtype", "shape", "n_bytes"),
    [("I64", [2], 16), ("BOOL", [3], 3), ("F8_E4M3", [3], 3), ("F4", [4], 2)],
)
def test_types_without_weights_are_bytes(
    path: Path, dtype: str, shape: list[int], n_bytes: int
) -> None:
    header = {"a": {"dtype": dtype, "shape": shape, "data_offsets": [0, n_bytes]}}
    write_raw(path, header, bytes(n_bytes))
    found = opened(path).bytes["a"]
    assert (found.dtype, found.shape) == (dtype, tuple(shape))
    assert (found.n_bytes, len(found.raw)) == (n_bytes, n_bytes)


def test_float64_is_read_as_float32(path: Path) -> None:
    values = np.array([[1 + 2**-40, 1e300], [-0.5, 3]])
    write_safetensors(path, {"a": values})
    found = opened(path).tensors["a"]
    assert (found.type.name, found.shape, found.n_bytes) == ("F32", (2, 2), 16)
    np.testing.assert_array_equal(found.dequantize(), [[1, np.inf], [-0.5, 3]])
    assert found.sample() == values.tobytes()


def test_space_before_the_header_is_accepted(path: Path) -> None:
    """As in the safetensors library, though the format's text says otherwise."""
    write_raw(path, b" \n" + json.dumps({"a": entry()}).encode(), bytes(16))
    assert list(opened(path).tensors) == ["a"]


def test_tensors_of_bytes_are_not_weights(path: Path) -> None:
    values = np.arange(6, dtype=np.uint8).reshape(2, 3)
    write_safetensors(path, {"a": values, "b": SOUND["one"]})
    file = opened(path)
    assert (list(file.bytes), list(file.tensors)) == (["a"], ["b"])
    found = file.bytes["a"]
    assert (found.shape, found.n_bytes) == ((2, 3), 6)
    np.testing.assert_array_equal(found.data, values)
    found.release()
    np.testing.assert_array_equal(found.data, values)
    mapped = MappedFile(path)
    with pytest.raises(UnsupportedError, match="one of F32, F16, BF16, found U8"):
        read_header(mapped)
    mapped.close()


@pytest.mark.parametrize(("shape", "n_bytes"), [([], 4), ([0, 2], 0)])
def test_a_single_number_or_none_is_not_a_weight(
    path: Path, shape: list[int], n_bytes: int
) -> None:
    write_raw(
        path, {"a": entry(shape=shape, data_offsets=[0, n_bytes])}, bytes(4)[:n_bytes]
    )
    assert list(opened(path).bytes) == ["a"]
    mapped = MappedFile(path)
    with pytest.raises(UnsupportedError, match="a vector, a matrix or more"):
        read_header(mapped)
    mapped.close()


@pytest.mark.parametrize(
    ("length", "message"),
    [
        (10**8 + 1, "header: length: wanted at most 100000000 bytes"),
        (2**64 - 1, "header: length"),
        (10**8, "before the end of the file"),
        (100, "wanted 100 bytes, found 18"),
    ],
)
def test_hostile_header_lengths_are_refused(
    path: Path, length: int, message: str
) -> None:
    write_raw(path, {}, bytes(16), length)
    with pytest.raises(FormatError, match=message):
        opened(path)


def test_files_of_other_formats_are_refused_by_name(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(FormatError, match="a zip archive, perhaps a PyTorch"):
        opened(path)
    path.write_bytes(b"\x02")
    with pytest.raises(FormatError, match="a safetensors file"):
        opened(path)
    path.write_bytes(b"")
    with pytest.raises(FormatError, match="an empty file"):
        opened(path)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_change_is_refused_or_harmless(path: Path, data: st.DataObject) -> None:
    write_safetensors(path, SOUND)
    raw = bytearray(path.read_bytes())
    size = struct.unpack("<Q", raw[:8])[0]
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, 8 + size - 1))
        raw[at] = data.draw(st.integers(0, 255))
    path.write_bytes(raw)
    try:
        file = opened(path)
    except FormatError:
        return
    assert sum(each.n_bytes for each in file.tensors.values()) <= len(raw)
    for tensor in file.tensors.values():
        assert tensor.dequantize().shape == tensor.shape


# Several files.


def write_parts(folder: Path, **changes: Any) -> None:
    """Write two files and an index, where `changes` names other files for tensors."""
    for i, name in enumerate(("matrix", "half")):
        write_safetensors(folder / f"part{i}.safetensors", {name: SOUND[name]})
    places = {"matrix": "part0.safetensors", "half": "part1.safetensors"} | changes
    write_json(folder / INDEX, {"weight_map": places})


def test_tensors_of_several_files_are_read(tmp_path: Path) -> None:
    write_parts(tmp_path)
    file = open_safetensors(tmp_path)
    assert [path.name for path in file.paths] == [
        "part0.safetensors",
        "part1.safetensors",
    ]
    for name in ("matrix", "half"):
        assert file.tensors[name].data.tobytes() == SOUND[name].tobytes()


@pytest.mark.parametrize(
    "place",
    [
        "../part0.safetensors",
        "/etc/part0.safetensors",
        "sub/part0.safetensors",
        "..\\part0.safetensors",
        "C:part0.safetensors",
        "part0.safetensors\0",
        "part0.bin",
        "",
        "..",
        7,
        None,
    ],
)
def test_an_index_that_leads_out_of_the_folder_is_refused(
    tmp_path: Path, place: Any
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    write_parts(folder, matrix=place)
    write_safetensors(tmp_path / "part0.safetensors", SOUND)
    with pytest.raises(FormatError, match="a safetensors file in the folder") as caught:
        open_safetensors(folder)
    assert caught.value.field == "weight_map: matrix"


def test_all_missing_files_are_named_at_once(tmp_path: Path) -> None:
    write_parts(tmp_path, other="part2.safetensors", more="part3.safetensors")
    (tmp_path / "part0.safetensors").write_bytes(b"not looked at")
    with pytest.raises(ModelFileError, match="2 of 4.*part2.safetensors, part3") as got:
        open_safetensors(tmp_path)
    assert got.value.filename == str(tmp_path / "part2.safetensors")


def test_tensors_in_another_file_than_the_index_says_are_refused(
    tmp_path: Path,
) -> None:
    write_parts(tmp_path, matrix="part1.safetensors", half="part0.safetensors")
    with pytest.raises(FormatError, match="the index puts elsewhere"):
        open_safetensors(tmp_path)


def test_files_and_index_may_each_have_more_than_the_other(tmp_path: Path) -> None:
    """A tied output matrix is listed by some programs, and other extras by none."""
    write_parts(tmp_path, third="part1.safetensors")
    found = open_safetensors(tmp_path)
    assert set(found.tensors) == {"matrix", "half"}
    found.close()
    both = {name: SOUND[name] for name in ("half", "one")}
    write_safetensors(tmp_path / "part1.safetensors", both)
    found = open_safetensors(tmp_path)
    assert set(found.tensors) == {"matrix", "half", "one"}
    found.close()
    both = {name: SOUND[name] for name in ("matrix", "one")}
    write_safetensors(tmp_path / "part0.safetensors", both)
    with pytest.raises(FormatError, match="tensor one: wanted one in all files"):
        open_safetensors(tmp_path)


@pytest.mark.parametrize("index", [{}, {"weight_map": {}}, {"weight_map": 3}, []])
def test_an_index_without_a_weight_map_is_refused(tmp_path: Path, index: Any) -> None:
    write_json(tmp_path / INDEX, index)
    with pytest.raises(FormatError, match="object|names of tensors"):
        open_safetensors(tmp_path)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"no model\.safetensors") as caught:
        open_safetensors(tmp_path)
    assert caught.value.filename == str(tmp_path)


def test_a_single_file_takes_precedence_over_an_index(tmp_path: Path) -> None:
    write_parts(tmp_path, missing="missing.safetensors")
    write_safetensors(tmp_path / "model.safetensors", SOUND)
    assert set(open_safetensors(tmp_path).tensors) == set(SOUND)
