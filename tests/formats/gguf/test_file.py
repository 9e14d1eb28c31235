"""The GGUF reader on valid files."""

from __future__ import annotations

import errno
import gc
import mmap
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.errors import ClosedError, FormatError, ModelFileError
from llamacy.formats import mapped_file
from llamacy.formats.gguf.file import open_gguf
from llamacy.ggml.types import GGMLType
from tests.support.lines_run import lines_run

gguf = pytest.importorskip("gguf")


def write(
    path: Path,
    tensors: dict[str, NDArray[np.float32]],
    keys: Sequence[tuple[str, Any, Any, Any]] = (),
    **options: Any,
) -> Path:
    """Write a file with the `gguf` package; keys: name, value, type, item type."""
    writer = gguf.GGUFWriter(path, "llama", **options)
    for name, value, kind, item in keys:
        if name == "general.alignment":
            writer.add_custom_alignment(value)
        else:
            writer.add_key_value(name, value, kind, sub_type=item)
    for name, weights in tensors.items():
        writer.add_tensor(name, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def some_weights(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(sum(shape)).standard_normal(shape, np.float32)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    weights = {"a": some_weights(3, 64), "b": some_weights(5), "c": some_weights(2, 3)}
    return write(tmp_path / "small.gguf", weights)


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """A model in three parts of one tensor each; the path of the first part."""
    weights = {name: some_weights(4, 32 * (i + 1)) for i, name in enumerate("abc")}
    keys = [("general.name", "parts", gguf.GGUFValueType.STRING, None)]
    write(tmp_path / "m.gguf", weights, keys, split_max_tensors=1)
    return tmp_path / "m-00001-of-00003.gguf"


@pytest.mark.parametrize(
    "name",
    [
        "models/stories260K-F32.gguf",
        "models/stories260K-Q8_0.gguf",
    ],
)
def test_real_files_are_read_as_the_gguf_package_reads_them(
    shared: Path, name: str
) -> None:
    expected = gguf.GGUFReader(shared / name)
    keys = {k: f.contents() for k, f in expected.fields.items() if k[:5] != "GGUF."}
    with open_gguf(shared / name) as file:
        assert list(file.metadata) == list(keys)
        for key, value in file.metadata.items():
            plain = value.tolist() if isinstance(value, np.ndarray) else value
            assert plain == keys[key], key
            assert type(plain) is type(keys[key])
            # the last type of an array is its items'
            assert file.value_types[key] == expected.fields[key].types[-1]
        assert list(file.tensors) == [tensor.name for tensor in expected.tensors]
        for tensor in expected.tensors:
            got = file.tensors[tensor.name]
            assert got.type == tensor.tensor_type
            assert got.shape == tuple(tensor.shape.tolist()[::-1])
            assert got.n_bytes == tensor.n_bytes == got.data.size
            assert bytes(got.data) == tensor.data.tobytes()
            weights = gguf.dequantize(tensor.data, tensor.tensor_type)
            np.testing.assert_array_equal(got.dequantize(), weights, strict=True)


@pytest.mark.parametrize("name", ["llama-bpe", "qwen2"])
def test_the_fast_way_reads_large_vocabularies_like_the_slow_one(
    shared: Path, name: str
) -> None:
    path = shared / f"tokenizers/{name}.gguf"
    raw = path.read_bytes()
    with open_gguf(path) as file:
        for key in ("tokenizer.ggml.tokens", "tokenizer.ggml.merges"):
            got = file.metadata[key]
            at = raw.index(key.encode()) + len(key) + 8
            assert struct.unpack_from("<Q", raw, at)[0] == len(got) > 120_000
            at += 8
            for text in got:
                first = at + 8
                at = first + int.from_bytes(raw[at:first], "little")
                if raw[first:at] != text.encode():
                    pytest.fail(f"{key}: wanted {raw[first:at]!r}, found {text!r}")


def test_large_vocabularies_are_read_the_fast_way(shared: Path) -> None:
    def read() -> None:
        with open_gguf(shared / "tokenizers/llama-bpe.gguf") as file:
            assert len(file.metadata["tokenizer.ggml.tokens"]) == 128_256
            assert len(file.metadata["tokenizer.ggml.merges"]) == 280_147

    assert lines_run(read) < 10_000


def test_every_type_of_metadata_is_read(tmp_path: Path) -> None:
    kind = gguf.GGUFValueType
    scalars = {
        kind.UINT8: 255,
        kind.INT8: -128,
        kind.UINT16: 65535,
        kind.INT16: -32768,
        kind.UINT32: 2**32 - 1,
        kind.INT32: -(2**31),
        kind.FLOAT32: 0.15625,
        kind.BOOL: True,
        kind.STRING: "zwölf ▁ 😀 \0 end",
        kind.UINT64: 2**64 - 1,
        kind.INT64: -(2**63),
        kind.FLOAT64: 0.1,
    }
    keys = [(f"x.{k.name}", value, k, None) for k, value in scalars.items()]
    keys += [
        (f"x.{k.name}s", [value, value, type(value)()], kind.ARRAY, k)
        for k, value in scalars.items()
    ]
    with open_gguf(write(tmp_path / "m.gguf", {}, keys)) as file:
        for k, value in scalars.items():
            found = file.metadata[f"x.{k.name}"]
            assert found == value
            assert type(found) is type(value)
            array = file.metadata[f"x.{k.name}s"]
            if k == kind.STRING:
                assert array == [value, value, ""]
                continue
            assert isinstance(array, np.ndarray)
            assert array.dtype.name == k.name.lower()
            assert array.tolist() == [value, value, type(value)()]
            assert not array.flags.writeable


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("alignment", [8, 32, 4096])
def test_versions_2_and_3_and_any_alignment_are_read(
    tmp_path: Path, version: int, alignment: int
) -> None:
    weights = {name: some_weights(i + 1, 7) for i, name in enumerate("abcd")}
    keys = [("general.alignment", alignment, None, None)]
    path = write(tmp_path / "m.gguf", weights, keys)
    with path.open("r+b") as raw:
        raw.seek(4)
        raw.write(version.to_bytes(4, "little"))
    with open_gguf(path) as file:
        assert file.version == version
        for name, want in weights.items():
            np.testing.assert_array_equal(file.tensors[name].dequantize(), want)


def test_shapes_begin_with_the_slowest_dimension(tmp_path: Path) -> None:
    weights = {"one": some_weights(6), "four": some_weights(2, 3, 4, 5)}
    with open_gguf(write(tmp_path / "m.gguf", weights)) as file:
        assert file.tensors["one"].shape == (6,)
        assert file.tensors["four"].shape == (2, 3, 4, 5)
        four = file.tensors["four"].dequantize()
        np.testing.assert_array_equal(four, weights["four"])
        assert file.tensors["four"].type is GGMLType.F32


def test_a_path_may_be_a_string(small: Path) -> None:
    with open_gguf(str(small)) as file:
        assert file.path == small
        assert file.paths == (small,)
        assert repr(str(small)) in repr(file)
        assert repr(file.tensors["a"]) == "<Tensor a F32 (3, 64)>"


def test_arrays_are_read_only_and_outlive_the_file(small: Path) -> None:
    file = open_gguf(small)
    data = file.tensors["a"].data
    assert not data.flags.writeable
    before = bytes(data)
    file.close()
    file.close()
    del file
    gc.collect()
    assert bytes(data) == before
    np.testing.assert_array_equal(data.view(np.float32), some_weights(3, 64).ravel())


def test_closed_file_refuses_its_weights(small: Path) -> None:
    with open_gguf(small) as file:
        tensor = file.tensors["a"]
    for use in (lambda: tensor.data, tensor.dequantize):
        with pytest.raises(ClosedError, match="small.gguf"):
            use()
    tensor.release()
    assert file.metadata["general.architecture"] == "llama"
    assert tensor.shape == (3, 64)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_no_file_stays_open(small: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(small.read_bytes()[:-100])
    before = len(os.listdir("/proc/self/fd"))
    open_gguf(small).close()
    with pytest.raises(FormatError):
        open_gguf(broken)
    assert len(os.listdir("/proc/self/fd")) == before
    assert str(tmp_path) not in Path("/proc/self/maps").read_text()


def test_released_weights_can_still_be_read(tmp_path: Path) -> None:
    weights = {"a": some_weights(3, 4096), "b": some_weights(100, 4096)}
    with open_gguf(write(tmp_path / "m.gguf", weights)) as file:
        for name, want in weights.items():
            tensor = file.tensors[name]
            data = tensor.data
            tensor.release()
            np.testing.assert_array_equal(data.view(np.float32), want.ravel())
            np.testing.assert_array_equal(tensor.dequantize(), want)


@pytest.mark.skipif(not Path("/proc/self/smaps").is_file(), reason="needs /proc")
def test_releasing_weights_frees_their_memory(tmp_path: Path) -> None:
    path = write(tmp_path / "m.gguf", {"a": some_weights(2048, 1024)})

    def resident() -> int:
        """Return the KiB of the file in this process's memory."""
        lines = iter(Path("/proc/self/smaps").read_text().splitlines())
        for line in lines:
            if line.endswith(str(path)):
                rss = next(each for each in lines if each.startswith("Rss:"))
                return int(rss.split()[1])
        raise AssertionError("not mapped")

    with open_gguf(path) as file:
        tensor = file.tensors["a"]
        assert int(tensor.data.max()) == 255
        assert resident() > 8000
        tensor.release()
        assert resident() < 300


def test_only_whole_pages_inside_a_tensor_are_released(
    monkeypatch: pytest.MonkeyPatch, small: Path
) -> None:
    calls = []

    class Mapping:
        def madvise(self, option: int, start: int, length: int) -> None:
            calls.append((start, length))

    monkeypatch.setattr(mmap, "MADV_DONTNEED", 4, raising=False)
    monkeypatch.setattr(mmap, "PAGESIZE", 4096)
    file = mapped_file.MappedFile(small)
    file.close()
    monkeypatch.setattr(file, "_map", Mapping())
    file.release(4096, 8192)
    file.release(4097, 8192)
    file.release(1, 4096)
    file.release(100, 50)
    assert calls == [(4096, 8192), (8192, 4096)]


def test_a_split_model_has_the_tensors_of_all_parts(split: Path) -> None:
    with open_gguf(split) as file:
        assert [path.name for path in file.paths] == [
            f"m-0000{i}-of-00003.gguf" for i in (1, 2, 3)
        ]
        assert file.path == split
        assert file.metadata["general.name"] == "parts"
        for i, name in enumerate("abc"):
            want = some_weights(4, 32 * (i + 1))
            np.testing.assert_array_equal(file.tensors[name].dequantize(), want)
    with pytest.raises(ClosedError, match="00003-of-00003"):
        file.tensors["c"].dequantize()


def test_opening_a_later_part_opens_the_whole_model(split: Path) -> None:
    with open_gguf(split.with_name("m-00002-of-00003.gguf")) as file:
        assert file.path == split
        assert list(file.tensors) == ["a", "b", "c"]
        assert file.metadata["general.name"] == "parts"


def test_a_later_part_without_the_first_is_refused(split: Path) -> None:
    split.unlink()
    with pytest.raises(FormatError, match=r"split\.no.*m-00001-of-00003\.gguf"):
        open_gguf(split.with_name("m-00002-of-00003.gguf"))


def test_a_renamed_later_part_is_refused(split: Path) -> None:
    other = split.with_name("m-00002-of-00003.gguf").rename(split.with_name("x.gguf"))
    with pytest.raises(FormatError, match=r"x\.gguf: split\.no"):
        open_gguf(other)


def test_a_renamed_first_part_is_refused(split: Path) -> None:
    with pytest.raises(FormatError, match="file name.*-00001-of-00003"):
        open_gguf(split.rename(split.with_name("x.gguf")))


def test_a_missing_part_is_named(split: Path) -> None:
    split.with_name("m-00003-of-00003.gguf").unlink()
    with pytest.raises(ModelFileError, match="missing.*m-00003-of-00003") as caught:
        open_gguf(split)
    assert caught.value.errno == errno.ENOENT


def test_parts_in_the_wrong_order_are_refused(split: Path) -> None:
    second, third = (split.with_name(f"m-0000{i}-of-00003.gguf") for i in (2, 3))
    content = second.read_bytes()
    second.write_bytes(third.read_bytes())
    third.write_bytes(content)
    with pytest.raises(FormatError) as caught:
        open_gguf(split)
    error = caught.value
    assert (error.path, error.field) == (str(second), "split.no")
    assert (error.wanted, error.found) == (1, 2)


def test_a_file_that_is_not_a_part_is_refused_as_one(split: Path, small: Path) -> None:
    small.rename(split.with_name("m-00002-of-00003.gguf"))
    with pytest.raises(FormatError, match=r"split\.no: wanted 1, found no such key"):
        open_gguf(split)


def test_a_tensor_in_two_parts_is_refused(split: Path) -> None:
    second = split.with_name("m-00002-of-00003.gguf")
    content = second.read_bytes()
    name = (1).to_bytes(8, "little") + b"b"
    assert content.count(name) == 1
    second.write_bytes(content.replace(name, name[:8] + b"a"))
    with pytest.raises(FormatError, match="00002.*tensor a.*once in all parts"):
        open_gguf(split)


def test_a_wrong_total_of_tensors_is_refused(split: Path) -> None:
    content = split.read_bytes()
    key = b"split.tensors.count" + (5).to_bytes(4, "little")
    at = content.index(key) + len(key)
    split.write_bytes(content[:at] + b"\x04" + content[at + 1 :])
    with pytest.raises(FormatError, match=r"split\.tensors\.count.*3.*found 4"):
        open_gguf(split)


def test_metadata_can_be_read_alone(split: Path, small: Path) -> None:
    """Neither missing parts nor tensors of unknown types matter for them."""
    split.with_name("m-00003-of-00003.gguf").unlink()
    with open_gguf(split, metadata_only=True) as file:
        assert file.metadata["general.name"] == "parts"
        assert file.tensors == {}
        assert file.paths == (split,)
    small.write_bytes(small.read_bytes()[:-200])
    with open_gguf(small, metadata_only=True) as file:
        assert file.metadata["general.architecture"] == "llama"


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"absent\.gguf") as caught:
        open_gguf(tmp_path / "absent.gguf")
    assert caught.value.errno == errno.ENOENT
    assert caught.value.filename == str(tmp_path / "absent.gguf")


def test_a_folder_is_not_a_gguf_file(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="a folder"):
        open_gguf(tmp_path)


def test_a_path_through_a_file_is_an_error(small: Path) -> None:
    with pytest.raises(ModelFileError):
        open_gguf(small / "inside.gguf")


@pytest.mark.parametrize("path", ["a\0b.gguf", "x" * 5000 + ".gguf", ""])
def test_impossible_paths_are_refused(path: str) -> None:
    with pytest.raises(ModelFileError):
        open_gguf(path)


def test_an_unreadable_file_is_an_error(small: Path) -> None:
    small.chmod(0)
    if os.access(small, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(ModelFileError) as caught:
        open_gguf(small)
    assert caught.value.errno == errno.EACCES


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_without_blocking(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    with pytest.raises(ModelFileError, match="not a regular file"):
        open_gguf(tmp_path / "pipe.gguf")
