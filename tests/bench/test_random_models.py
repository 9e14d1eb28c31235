"""Files of random weights: every family's loads and runs."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import random_model
from random_models.encoder_shapes import ENCODER_SHAPES
from random_models.shapes import SHAPES
from random_models.sizes import (
    llama_of_size,
    n_layers_within,
    n_weights_read,
    tensors_in,
)
from random_models.writing import write_random_model, write_tiny_model

import llamacy
from llamacy.architectures import ARCHITECTURES
from llamacy.config.rules import family_rules
from llamacy.formats.gguf.file import open_gguf
from llamacy.model.executors import load_executor
from llamacy.model_files.hyperparameters import read_hyperparameters
from llamacy.ops.batch import Batch, TextBatch

IDS = list(range(400, 440))  # more than a window of tiny models


def test_every_family_that_writes_texts_has_a_shape() -> None:
    writers = {name for name in ARCHITECTURES if family_rules(name).is_causal}
    assert writers <= {shape.architecture for shape in SHAPES.values()}


@pytest.mark.parametrize("name", SHAPES)
def test_both_executors_agree_on_the_tiny_model_of_a_shape(
    name: str, tmp_path: Path
) -> None:
    path = tmp_path / "tiny.gguf"
    write_tiny_model(SHAPES[name], path, "F32")
    logits = []
    with open_gguf(path) as file:
        _, config = read_hyperparameters(file)
        assert config.architecture == SHAPES[name].architecture
        for kind in ("reference", "plan"):
            executor = load_executor(file, config, executor=kind, kv_type="f32")
            batch = Batch.of(IDS, executor.new_sequence(), "all")
            logits.append(executor.forward(batch))
            executor.close()
    want, got = logits
    assert np.isfinite(want).all()
    assert want.std() > 0.01
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 * float(want.std()))


@pytest.mark.parametrize("name", ENCODER_SHAPES)
def test_both_executors_agree_on_the_tiny_model_of_an_encoder(
    name: str, tmp_path: Path
) -> None:
    path = tmp_path / "tiny.gguf"
    write_tiny_model(ENCODER_SHAPES[name], path, "F32")
    with open_gguf(path) as file:
        _, config = read_hyperparameters(file)
        assert not config.is_causal
        want, got = (
            load_executor(file, config, executor=kind).embed(
                TextBatch.of([IDS]), "mean"
            )
            for kind in ("reference", "plan")
        )
    assert want.std() > 0.01
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 * float(want.std()))


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        *(("minilm-l6", 22.6), ("modernbert-base", 149.0), ("nomic-embed-1.5", 136.7)),
        *(("nomic-embed-2-moe", 475.3), ("jina-2-base", 136.8), ("jina-3", 558.3)),
        *(("embeddinggemma-300m", 302.9), ("eurobert-210m", 211.8)),
        *(("llama-nemotron-embed-1b", 1235.8), ("lfm2.5-embedding-350m", 354.5)),
    ],
)
def test_encoders_are_as_large_as_the_published_models(
    name: str, millions: float
) -> None:
    shape = ENCODER_SHAPES[name]
    tensors = tensors_in(shape, "F32", shape.n_layer)
    n_params = sum(math.prod(tensor.shape) for tensor in tensors)
    assert n_params / 1e6 == pytest.approx(millions, abs=0.1)


ONE_OF_EACH_FAMILY = {shape.architecture: name for name, shape in SHAPES.items()}


@pytest.mark.parametrize("name", ONE_OF_EACH_FAMILY.values())
def test_drafted_rows_have_the_logits_of_a_token_a_pass(
    name: str, tmp_path: Path
) -> None:
    """Bit by bit, and also after rows were given back: no text depends on drafts."""
    path = tmp_path / "tiny.gguf"
    write_tiny_model(SHAPES[name], path, "Q8_0")
    with open_gguf(path) as file:
        _, config = read_hyperparameters(file)
        plan = load_executor(file, config, n_threads=2)
    single, drafted = plan.new_sequence(), plan.new_sequence()
    for sequence in (single, drafted):
        plan.forward(Batch.of(IDS[:20], sequence, "none"))
    want = [plan.forward(Batch.of([token], single))[0] for token in IDS[20:]]
    for n_past, n_rows in ((20, 16), (23, 2), (24, 3), (25, 15)):
        drafted.truncate(n_past)
        drafted.try_rows(n_rows)
        rows = IDS[n_past : n_past + n_rows]
        got = plan.forward(Batch.of(rows, drafted, "all"))
        np.testing.assert_array_equal(got, want[n_past - 20 : n_past - 20 + n_rows])
    plan.close()


def test_a_file_has_the_size_and_the_types_that_are_wanted(tmp_path: Path) -> None:
    path, shape = tmp_path / "ernie.gguf", SHAPES["ernie4_5-0.3b"]
    write_random_model(shape, path, "Q4_0", n_layer=2, n_vocab=1000)
    info = llamacy.inspect(path)
    assert (info.file_type, info.n_vocab) == ("Q4_0", 1000)
    assert info.tensor_types == {"F32": 5, "Q4_0": 14, "Q6_K": 1}
    with llamacy.load(path, n_ctx=64, n_threads=1) as model:
        assert model.detokenize(model.tokenize("bada wo, Ärger")) == "bada wo, Ärger"
        assert len(model.tokenize("bada")) == 2  # <s>, and the word
        assert model.generate("bada", max_tokens=2, temperature=0).tokens


def test_rows_of_a_matrix_differ(tmp_path: Path) -> None:
    path = tmp_path / "llama.gguf"
    write_tiny_model(SHAPES["llama-8b"], path)
    with open_gguf(path) as file:
        rows = file.tensors["token_embd.weight"].dequantize()
    assert len(np.unique(rows, axis=0)) == len(rows)


def test_layers_are_kept_in_proportion() -> None:
    shape = SHAPES["gemma4-e2b"]
    for n_layer, n_own in ((35, 15), (14, 5), (7, 5), (3, 3)):
        keys = shape.metadata(n_layer)
        assert keys["gemma4.attention.shared_kv_layers"] == n_layer - n_own
        widths = Counter(keys["gemma4.feed_forward_length"].tolist())
        assert widths == Counter({6144: n_own, 12288: n_layer - n_own})
        assert not keys["gemma4.attention.sliding_window_pattern"][n_own - 1]


@pytest.mark.parametrize(
    ("name", "billions", "read"),
    [
        ("llama-8b", 8.03, 7.50),  # all but the embedding
        ("gemma4-e4b", 7.49, 4.67),  # and a table, of which rows are read
        ("gemma4-26b-a4b", 25.23, 3.82),
        ("qwen3moe-30b-a3b", 30.53, 3.04),
        ("lfm2-1.2b", 1.17, 1.17),
        ("lfm2moe-8b-a1b", 8.34, 1.56),
        ("granitehybrid-3b", 3.19, 3.19),
        ("granitehybrid-7b-a1b", 6.94, 1.47),
        ("falcon-h1-0.5b", 0.52, 0.49),
        ("nemotron-h-8b", 8.10, 7.56),
        ("jamba-3b", 3.03, 3.03),
        ("jamba-52b-a12b", 51.57, 11.84),
        ("mamba-2.8b", 2.77, 2.77),
        ("nemotron-3-nano-30b-a3b", 31.58, 3.22),
        ("mamba2-2.7b", 2.70, 2.70),
    ],
)
def test_shapes_are_as_large_as_the_published_models(
    name: str, billions: float, read: float
) -> None:
    shape = SHAPES[name]
    tensors = tensors_in(shape, "F32", shape.n_layer)
    n_params = sum(math.prod(tensor.shape) for tensor in tensors)
    assert n_params / 1e9 == pytest.approx(billions, abs=0.01)
    n_read = n_weights_read(shape, shape.n_layer)
    assert n_read / 1e9 == pytest.approx(read, abs=0.01)


@pytest.mark.parametrize("name", ["gemma4-e2b", "olmoe-7b-a1b", "falcon-7b"])
def test_a_llama_reads_as_much_for_each_token(name: str) -> None:
    shape = SHAPES[name]
    n_layer = n_layers_within(shape, "Q4_0", 2**30)
    assert 1 < n_layer < shape.n_layer
    for n, is_within in ((n_layer, True), (n_layer + 1, False)):
        n_bytes = sum(tensor.n_bytes for tensor in tensors_in(shape, "Q4_0", n))
        assert (n_bytes <= 2**30) == is_within
    llama = llama_of_size(shape, n_layer)
    assert (llama.architecture, llama.n_layer) == ("llama", n_layer)
    want = n_weights_read(shape, n_layer)
    assert n_weights_read(llama, n_layer) == pytest.approx(want, rel=0.02)


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    monkeypatch.setattr("sys.argv", ["random_model.py", *map(str, words)])
    random_model.main()


def test_the_command_writes_a_file(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "model.gguf"
    run(monkeypatch, "qwen3vl-2b", "q8_0", path, "--layers", 1, "--vocab", 500)
    assert f"{path}: {path.stat().st_size:,} bytes" in capsys.readouterr().out
    assert llamacy.inspect(path).architecture == "qwen3vl"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("qwen9", "Q8_0"), "invalid choice: 'qwen9'"),
        (("qwen3-1.7b", "Q8_0", "--layers", 0), "--layers: wanted at least 1, found 0"),
        (("qwen3-1.7b", "Q8_0", "--vocab", 9), "--vocab: wanted at least 356, found 9"),
        (("qwen3-1.7b", "Q9"), "type: wanted one of F32"),
    ],
)
def test_the_command_refuses(
    words: tuple[object, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shape, kind, *options = words
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, shape, kind, tmp_path / "model.gguf", *options)
    assert said in capsys.readouterr().err + str(caught.value)
    assert not list(tmp_path.iterdir())
