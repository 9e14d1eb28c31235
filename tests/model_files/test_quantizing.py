"""Quantising whole files: the results, and the files left after an error."""

from __future__ import annotations

import errno
import logging
import os
import shutil
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
NEEDS_IMATRIX = (
    *("IQ3_XXS", "IQ3_XS", "Q2_K_S", "IQ2_M", "IQ2_S", "IQ2_XS", "IQ2_XXS"),
    *("IQ1_M", "IQ1_S"),
)
MOST_ERROR = {
    **{"IQ1": 0.75, "IQ2": 0.6, "IQ3": 0.45, "Q2_": 0.73},
    **{"TQ1": 0.85, "TQ2": 0.85, "Q1_": 0.63},
}
N_EMBD, N_FF = 256, 512
SHAPES = {
    "token_embd.weight": (50, N_EMBD),
    **{
        f"blk.{layer}.{part}.weight": shape
        for layer in range(2)
        for part, shape in {
            "attn_norm": (N_EMBD,),
            "attn_q": (N_EMBD, N_EMBD),
            "attn_k": (N_EMBD // 2, N_EMBD),
            "attn_v": (N_EMBD // 2, N_EMBD),
            "attn_output": (N_EMBD, N_EMBD),
            "ffn_norm": (N_EMBD,),
            "ffn_gate": (N_FF, N_EMBD),
            "ffn_up": (N_FF, N_EMBD),
            "ffn_down": (N_EMBD, N_FF),
        }.items()
    },
    "output_norm.weight": (N_EMBD,),
    "output.weight": (50, N_EMBD),
}


@pytest.fixture(scope="module")
def float_model(
    tmp_path_factory: pytest.TempPathFactory,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., dict[str, NDArray[np.float32]]],
) -> Path:
    """A LLaMA of random float32 weights, in rows of whole blocks for every type."""
    metadata = llama_metadata(
        block_count=2, embedding_length=N_EMBD, feed_forward_length=N_FF
    )
    path = tmp_path_factory.mktemp("float") / "float.gguf"
    return write_gguf(path, metadata, random_tensors(SHAPES.items()))


def importance_of(path: Path) -> llamacy.ImportanceMatrix:
    """Return random importance for the matrices of a model's layers."""
    rng = np.random.default_rng(1)
    with open_gguf(path) as file:
        shapes = {name: each.shape for name, each in file.tensors.items()}
    entries = {
        name: llamacy.InputSums(
            np.exp(rng.standard_normal((1, shape[-1]))).astype(np.float32),
            np.array([1]),
        )
        for name, shape in shapes.items()
        if name.startswith("blk.") and len(shape) == 2
    }
    return llamacy.ImportanceMatrix(entries, ("folder/text.txt",), 7, path="a/b.gguf")


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


def finish(writer: Any, path: Path) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def leftovers(folder: Path, *expected: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {path.name for path in expected}


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


# Errors.


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


def test_an_importance_matrix_lowers_the_errors_that_count(
    float_model: Path, tmp_path: Path
) -> None:
    matrix = importance_of(float_model)
    matrix.save(tmp_path / "of_model.gguf")

    def error(imatrix: Any) -> float:
        path = tmp_path / "new.gguf"
        done = llamacy.quantize(float_model, path, "Q4_K_S", imatrix=imatrix)
        assert any(each.is_weighed for each in done.tensors) == (imatrix is not None)
        name = "blk.1.ffn_up.weight"
        with open_gguf(float_model) as before, open_gguf(path) as after:
            weights = before.tensors[name].dequantize()
            off = after.tensors[name].dequantize() - weights
        return float((matrix.entries[name].sums * off**2).sum())

    best = error(matrix)
    assert best < 0.9 * error(None)
    assert error(tmp_path / "of_model.gguf") == best
    with open_gguf(tmp_path / "new.gguf") as file:
        assert {
            key.removeprefix("quantize.imatrix."): value
            for key, value in file.metadata.items()
            if "imatrix" in key
        } == {
            "file": "of_model.gguf",
            "dataset": "text.txt",
            "entries_count": 14,
            "chunks_count": 7,
        }


@pytest.mark.parametrize("name", NEEDS_IMATRIX)
def test_small_types_are_refused_without_an_importance_matrix(
    float_model: Path, tmp_path: Path, name: str
) -> None:
    with pytest.raises(
        llamacy.ArgumentError, match=r"wanted an importance matrix.*blk"
    ):
        llamacy.quantize(float_model, tmp_path / "new.gguf", name)
    matrix = importance_of(float_model)
    entries = {key: each for key, each in matrix.entries.items() if "blk.0" in key}
    half = llamacy.ImportanceMatrix(entries)
    with pytest.raises(llamacy.ArgumentError, match=r"with an entry for blk\.1\."):
        llamacy.quantize(float_model, tmp_path / "new.gguf", name, imatrix=half)
    assert not leftovers(tmp_path)
    with pytest.raises(llamacy.ArgumentError, match="importance matrix"):
        llamacy.load(float_model, quantize=name)
    planned = llamacy.quantize(float_model, None, name, dry_run=True)
    assert planned.needs_imatrix


def test_importance_matrices_of_other_models_are_refused(
    float_model: Path, tmp_path: Path
) -> None:
    matrix, path = importance_of(float_model), tmp_path / "new.gguf"
    names = {f"other.{name}": each for name, each in matrix.entries.items()}
    with pytest.raises(llamacy.FormatError, match="those of the model"):
        llamacy.quantize(
            float_model, path, "Q4_0", imatrix=llamacy.ImportanceMatrix(names)
        )
    wide = dict(matrix.entries)
    name = "blk.0.attn_q.weight"
    wide[name] = llamacy.InputSums(np.ones((1, 512), np.float32), np.array([1]))
    with pytest.raises(llamacy.FormatError, match=f"sums of {name}.*1 x 256"):
        llamacy.quantize(
            float_model, path, "Q4_0", imatrix=llamacy.ImportanceMatrix(wide)
        )
    assert not leftovers(tmp_path)


def test_single_tensors_get_the_types_that_are_asked_for(
    float_model: Path, tmp_path: Path
) -> None:
    def types(**options: Any) -> dict[str, str]:
        path = tmp_path / "new.gguf"
        done = llamacy.quantize(float_model, path, "Q4_K_M", **options)
        with open_gguf(path) as file:
            found = {name: each.type.name for name, each in file.tensors.items()}
        assert found == {each.name: each.type for each in done.tensors}
        return found

    plain = types()
    found = types(tensor_types={r"blk\.0\.ffn_(UP|gate)": "q8_0", "ffn": "Q5_0"})
    changed = {name: each for name, each in found.items() if plain[name] != each}
    assert changed == {
        "blk.0.ffn_gate.weight": "Q8_0",
        "blk.0.ffn_up.weight": "Q8_0",
        "blk.0.ffn_down.weight": "Q5_0",
        "blk.1.ffn_gate.weight": "Q5_0",
        "blk.1.ffn_up.weight": "Q5_0",
        "blk.1.ffn_down.weight": "Q5_0",
    }
    found = types(output_tensor_type="F16", token_embedding_type="Q3_K")
    assert (found["output.weight"], found["token_embd.weight"]) == ("F16", "Q3_K")
    assert types(leave_output_tensor=True)["output.weight"] == "F32"
    assert set(types(pure=True).values()) == {"F32", "Q4_K"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tensor_types": {"[": "Q8_0"}}, "wanted a regular expression, found '\\['"),
        ({"tensor_types": {"ffn": "Q9"}}, r"tensor_types\['ffn'\]: wanted a type"),
        ({"tensor_types": ["ffn"]}, "wanted a dict"),
        ({"output_tensor_type": "Q4_K_M"}, "output_tensor_type: wanted a type"),
        ({"token_embedding_type": 3}, "token_embedding_type"),
        ({"pure": 1}, "pure: wanted True or False"),
        ({"imatrix": 3}, "imatrix: wanted a path"),
        ({"dry_run": None}, "dry_run"),
    ],
)
def test_invalid_options_for_tensors_are_refused(
    float_model: Path, target: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(llamacy.ArgumentError, match=message):
        llamacy.quantize(float_model, target, "Q8_0", **options)


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


def test_patterns_that_no_matrix_has_are_named_in_a_warning(
    float_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    types = {"ffn_dwon": "Q6_K", "ffn_down": "Q6_K", "attn_norm": "F16"}
    llamacy.quantize(float_model, None, "Q8_0", tensor_types=types, dry_run=True)
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 2
    assert warnings[0].endswith("tensor_types: no matrix has 'ffn_dwon' in its name")
    assert "'attn_norm'" in warnings[1]  # whose tensors are vectors


def test_a_dry_run_tells_the_sizes_and_writes_nothing(
    float_model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "new.gguf"
    planned = llamacy.quantize(float_model, path, "Q4_K_M", dry_run=True)
    assert not leftovers(tmp_path)
    done = llamacy.quantize(float_model, path, "Q4_K_M")
    assert planned == done
    with open_gguf(path) as file:
        sizes = {name: each.n_bytes for name, each in file.tensors.items()}
    assert sizes == {each.name: each.target_bytes for each in planned.tensors}
    assert sum(each.source_bytes for each in planned.tensors) == planned.source_bytes
