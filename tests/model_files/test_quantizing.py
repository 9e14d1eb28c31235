"""Quantising whole files: the results, of every type."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.formats import requantized_tensor
from llamacy.formats.gguf.config import read_config
from llamacy.formats.gguf.file import open_gguf
from llamacy.ggml.file_types import FILE_TYPES
from llamacy.ggml.types import GGMLType
from llamacy.model.executors import load_executor
from llamacy.ops.batch import Batch
from tests.support.quantizing import (
    N_EMBD,
    NEEDS_IMATRIX,
    SHAPES,
    finish,
    importance_of,
    leftovers,
)

T = gguf.GGUFValueType

# name, value, its type, and its items' type
KEYS: list[tuple[str, Any, Any, Any]] = [
    ("general.alignment", 64, T.UINT32, None),
    ("general.file_type", 0, T.UINT32, None),
    *(
        (f"key.{kind.name}", 1, kind, None)
        for kind in (T.UINT8, T.INT8, T.UINT16, T.INT16, T.UINT32, T.INT32)
    ),
    ("key.wide", 2**63, T.UINT64, None),
    ("key.below", -(2**62), T.INT64, None),
    ("key.third", 1 / 3, T.FLOAT64, None),
    ("key.single", float(np.float32(1 / 3)), T.FLOAT32, None),
    ("key.true", True, T.BOOL, None),
    ("key.empty", "", T.STRING, None),
    ("key.text", "naïve ☃", T.STRING, None),
    ("array.text", ["", "a", "☃"], T.ARRAY, T.STRING),
    ("array.bool", [True, False], T.ARRAY, T.BOOL),
    ("array.int8", [-1, 2], T.ARRAY, T.INT8),
    ("array.float", [0.5, float("inf")], T.ARRAY, T.FLOAT32),
]
MOST_ERROR = {
    **{"IQ1": 0.75, "IQ2": 0.6, "IQ3": 0.45, "Q2_": 0.73},
    **{"TQ1": 0.85, "TQ2": 0.85, "Q1_": 0.63},
}


@pytest.fixture(scope="module")
def small_model(
    tmp_path_factory: pytest.TempPathFactory,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., dict[str, NDArray[np.float32]]],
) -> Path:
    """One layer, for types that take long."""
    shapes = {name: each for name, each in SHAPES.items() if "blk.1." not in name}
    for part in ("gate", "up", "down"):
        shapes[f"blk.0.ffn_{part}.weight"] = (N_EMBD, N_EMBD)
    metadata = llama_metadata(
        block_count=1, embedding_length=N_EMBD, feed_forward_length=N_EMBD
    )
    path = tmp_path_factory.mktemp("small") / "small.gguf"
    return write_gguf(path, metadata, random_tensors(shapes.items()))


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A file with metadata of every type."""
    writer = gguf.GGUFWriter(tmp_path / "odd.gguf", "odd")
    for key, value, kind, item in KEYS:
        writer.add_key_value(key, value, kind, sub_type=item)
    writer.data_alignment = 64
    rng = np.random.default_rng(0)
    for name, shape in {"a.weight": (3, 64), "b": (5,), "c.weight": (2, 2, 32)}.items():
        writer.add_tensor(name, rng.standard_normal(shape, np.float32))
    return finish(writer, tmp_path / "odd.gguf")


@pytest.mark.parametrize("name", FILE_TYPES)
def test_every_file_type_can_be_written_and_run(
    float_model: Path, small_model: Path, tmp_path: Path, name: str
) -> None:
    """The file has the tensors that `QuantizedFile` lists, and the model works."""
    if name.startswith("IQ"):
        float_model = small_model
    shares: list[float] = []
    path = tmp_path / "new.gguf"
    done = llamacy.quantize(
        float_model,
        path,
        name.lower(),
        imatrix=importance_of(float_model) if name in NEEDS_IMATRIX else None,
        progress=shares.append,
    )
    assert not leftovers(tmp_path, path)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert (done.path, done.type) == (str(path), name)
    with open_gguf(path) as file, open_gguf(float_model) as source:
        assert file.metadata["general.file_type"] == FILE_TYPES[name].number
        assert list(file.tensors) == list(source.tensors)
        types = [tensor.type.name for tensor in file.tensors.values()]
        assert done.tensor_types == {each: types.count(each) for each in set(types)}
        # of MXFP4_MOE only experts are MXFP4
        assert FILE_TYPES[name].base.name in types or name == "MXFP4_MOE"
        sizes = [tensor.n_bytes for tensor in file.tensors.values()]
        assert done.target_bytes == sum(sizes)
        for before, after in zip(
            source.tensors.values(), file.tensors.values(), strict=True
        ):
            weights = before.dequantize()
            off = after.dequantize() - weights
            error = np.sqrt((off**2).mean() / (weights**2).mean())
            assert error < MOST_ERROR.get(name[:3], 0.28)
    assert np.isfinite(logits(path)).all()


def logits(path: Path) -> NDArray[np.float32]:
    with open_gguf(path) as file:
        executor = load_executor(file, read_config(file))
    batch = Batch.of(list(range(20)), executor.new_sequence(), "all")
    return executor.forward(batch)


@pytest.mark.parametrize("name", ["Q8_0", "Q4_K_M", "Q4_0", "Q5_1", "BF16"])
def test_a_quantised_model_generates(
    babble_model: Path, tmp_path: Path, name: str
) -> None:
    llamacy.quantize(babble_model, tmp_path / "new.gguf", name)
    with llamacy.load(tmp_path / "new.gguf") as model:
        done = model.generate("Once upon a time", max_tokens=8, seed=1)
    assert done.usage.completion_tokens == 8


def test_a_quantised_real_model_has_llama_cpps_blocks(
    shared: Path, tmp_path: Path
) -> None:
    """The blocks are those of llama.cpp, and a text stays as likely."""
    source, theirs = (shared / f"models/stories260K-{t}.gguf" for t in ("F32", "Q8_0"))
    llamacy.quantize(source, tmp_path / "new.gguf", "Q8_0")
    with open_gguf(theirs) as want, open_gguf(tmp_path / "new.gguf") as got:
        assert list(got.tensors) == list(want.tensors)
        for name, tensor in got.tensors.items():
            # rows of 172 weights become F16, as in llama.cpp; in that file they are F32
            if tensor.type != GGMLType.F16:
                np.testing.assert_array_equal(tensor.data, want.tensors[name].data)
    llamacy.quantize(source, tmp_path / "new.gguf", "Q4_K_M")
    text = "Once upon a time, there was a little girl named Lily."
    with llamacy.load(source) as one, llamacy.load(tmp_path / "new.gguf") as other:
        ratio = other.score(text).perplexity / one.score(text).perplexity
    assert 0.9 < ratio < 1.1


def test_the_gguf_package_reads_a_quantised_file(
    float_model: Path, tmp_path: Path
) -> None:
    llamacy.quantize(float_model, tmp_path / "new.gguf", "Q4_K_M")
    reader = gguf.GGUFReader(tmp_path / "new.gguf")
    with open_gguf(tmp_path / "new.gguf") as file:
        assert [tensor.name for tensor in reader.tensors] == list(file.tensors)
        for theirs in reader.tensors:
            ours = file.tensors[theirs.name]
            assert theirs.tensor_type.name == ours.type.name
            assert tuple(theirs.shape[::-1]) == ours.shape
            np.testing.assert_array_equal(
                gguf.dequantize(theirs.data, theirs.tensor_type).reshape(ours.shape),
                ours.dequantize(),
            )


def test_metadata_keep_their_types(odd: Path, tmp_path: Path) -> None:
    llamacy.quantize(odd, tmp_path / "new.gguf", "Q8_0")
    before, after = gguf.GGUFReader(odd), gguf.GGUFReader(tmp_path / "new.gguf")
    new = {"general.quantization_version"}
    assert set(after.fields) == set(before.fields) | new
    assert after.fields["general.file_type"].contents() == 7
    assert after.fields["general.quantization_version"].contents() == 2
    for key, _, kind, item in KEYS:
        field = after.fields[key]
        assert field.types == [kind] + ([item] if item else [])
        if key != "general.file_type":
            assert field.contents() == before.fields[key].contents()
    assert after.alignment == 64
    with open_gguf(tmp_path / "new.gguf") as file:
        types = {name: tensor.type.name for name, tensor in file.tensors.items()}
    assert types == {"a.weight": "Q8_0", "b": "F32", "c.weight": "Q8_0"}


def test_parts_become_one_file(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    writer = gguf.GGUFWriter(folder / "m.gguf", "llama", split_max_tensors=1)
    weights = np.random.default_rng(0).standard_normal((3, 2, 32)).astype(np.float32)
    for name, each in zip("abc", weights, strict=True):
        writer.add_tensor(f"{name}.weight", each)
    finish(writer, folder)
    path = tmp_path / "new.gguf"
    llamacy.quantize(folder / "m-00002-of-00003.gguf", path, "F32")
    with open_gguf(path) as file:
        assert not [key for key in file.metadata if key.startswith("split.")]
        for name, each in zip("abc", weights, strict=True):
            got = file.tensors[f"{name}.weight"].dequantize()
            np.testing.assert_array_equal(got, each)
    with pytest.raises(llamacy.ArgumentError, match="another file than the source"):
        part = folder / "m-00003-of-00003.gguf"
        llamacy.quantize(folder / "m-00001-of-00003.gguf", part, "F32")


def test_the_file_does_not_depend_on_threads_and_chunks(
    float_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = tmp_path / "one.gguf", tmp_path / "other.gguf"
    llamacy.quantize(float_model, one, "Q4_K_M", n_threads=1)
    monkeypatch.setattr(requantized_tensor, "_CHUNK", 5000)
    llamacy.quantize(float_model, other, "Q4_K_M", n_threads=3)
    assert one.read_bytes() == other.read_bytes()


def test_quantising_a_quantised_file_logs_a_warning(
    float_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = tmp_path / "one.gguf", tmp_path / "other.gguf"
    with caplog.at_level(logging.WARNING, "llamacy"):
        llamacy.quantize(float_model, one, "Q8_0")
        llamacy.quantize(one, other, "Q8_0")
        assert not caplog.records
        llamacy.quantize(one, other, "Q4_0")
    assert "16 of 21 tensors were quantised before" in caplog.text
