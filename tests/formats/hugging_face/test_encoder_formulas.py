"""Folders of encoders whose code is their makers' own: rows are those of formulas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.config import ModelConfig, Pooling
from llamacy.errors import UnsupportedError
from llamacy.formats.gguf.config import read_config
from llamacy.formats.gguf.file import open_gguf
from llamacy.model_files.opening import open_model
from llamacy.ops.batch import TextBatch
from tests.support.embedded import embed
from tests.support.encoder_formulas import ENCODERS, N_EMBD, N_VOCAB, Encoder
from tests.support.hugging_face import write_json, write_safetensors

LENGTHS = (1, 9, 30)


def texts() -> list[list[int]]:
    rng = np.random.default_rng(1)
    return [rng.integers(0, N_VOCAB, n).tolist() for n in LENGTHS]


def rows_of(
    path: Path, kind: Any = "plan", pooling: Pooling = "none"
) -> NDArray[np.float32]:
    return embed(path, TextBatch.of(texts()), pooling, kind)


def config_of(path: Path) -> ModelConfig:
    with open_model(path) as file:
        return read_config(file)


@pytest.mark.parametrize("name", ENCODERS)
def test_rows_are_those_of_the_formula(tmp_path: Path, name: str) -> None:
    """Of a folder, and of the GGUF file that it is converted to."""
    folder, file = tmp_path / "folder", tmp_path / "model.gguf"
    weights = ENCODERS[name].write(folder)
    want = np.concatenate([ENCODERS[name].rows(weights, ids) for ids in texts()])
    for kind in ("reference", "plan"):
        assert np.abs(rows_of(folder, kind) - want).max() < 1e-4 * want.std()
    llamacy.convert(folder, file)
    np.testing.assert_array_equal(rows_of(file), rows_of(folder))


def test_scores_are_those_of_the_formula(tmp_path: Path) -> None:
    """Of a reranker of Jina's, whose pooler comes before the classifier."""
    folder, file = tmp_path / "folder", tmp_path / "model.gguf"
    encoder = ENCODERS["jina v2"]
    weights = encoder.write(folder)
    rng = np.random.default_rng(2)
    shapes: dict[str, tuple[int, ...]] = {
        "bert.pooler.dense.weight": (N_EMBD, N_EMBD),
        "bert.pooler.dense.bias": (N_EMBD,),
        "classifier.weight": (1, N_EMBD),
        "classifier.bias": (1,),
    }
    head = {
        name: rng.standard_normal(shape, np.float32) / 4
        for name, shape in shapes.items()
    }
    within = {f"bert.{name}": each for name, each in weights.items()}
    write_safetensors(folder / "model.safetensors", within | head)
    name = "JinaBertForSequenceClassification"
    config = {**encoder.config, "architectures": [name], "num_labels": 1}
    write_json(folder / "config.json", config)
    first = np.stack([encoder.rows(weights, ids)[0] for ids in texts()])
    pooled = first @ head["bert.pooler.dense.weight"].T + head["bert.pooler.dense.bias"]
    want = np.tanh(pooled) @ head["classifier.weight"].T + head["classifier.bias"]
    llamacy.convert(folder, file)
    for path in (folder, file):
        np.testing.assert_allclose(rows_of(path, pooling="rank"), want, atol=1e-4)


@pytest.mark.parametrize("is_zero", [True, False])
def test_the_bias_of_a_mixture_is_left_out_if_it_is_0(
    tmp_path: Path, is_zero: bool
) -> None:
    """GGUF files of llama.cpp have none."""
    folder, file = tmp_path / "folder", tmp_path / "model.gguf"
    weights = ENCODERS["nomic, experts"].write(folder)
    for name in weights:
        if name.endswith("experts.bias") and is_zero:
            weights[name] *= 0
    write_safetensors(folder / "model.safetensors", weights)
    llamacy.convert(folder, file)
    names = [f"blk.{layer}.ffn_token_types.weight" for layer in range(4)]
    with open_gguf(file) as made:
        have_bias = [name in made.tensors for name in names]
    assert have_bias == [not is_zero and layer % 2 == 1 for layer in range(4)]


def test_a_text_is_as_long_as_those_of_the_training(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    encoder = ENCODERS["nomic, experts"]
    Encoder(
        {**encoder.config, "n_positions": 8192}, encoder.shapes, encoder.rows
    ).write(folder)
    assert config_of(folder).n_ctx_train == 2048


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("jina v2", "position_embedding_type", "absolute"),
        ("jina v2", "feed_forward_type", "reglu"),
        ("jina v2", "hidden_act", "relu"),
        ("nomic, experts", "prenorm", True),
        ("nomic, experts", "rotary_emb_fraction", 0.5),
        ("nomic, experts", "rotary_emb_scale_base", 512),
        ("nomic, experts", "activation_function", "swiglu"),
        ("nomic, experts", "num_shared_experts", 1),
        ("nomic, experts", "expert_choice_router", True),
    ],
)
def test_what_would_change_the_rows_is_refused(
    tmp_path: Path, name: str, key: str, value: Any
) -> None:
    folder = tmp_path / "folder"
    ENCODERS[name].write(folder)
    write_json(folder / "config.json", {**ENCODERS[name].config, key: value})
    usual = {"activation_function": "hidden_act"}.get(key, key)
    with pytest.raises(UnsupportedError, match=f"{usual}: wanted"):
        config_of(folder)
