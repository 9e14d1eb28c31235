"""Tensors of folders: needed, passed over, tied, or under other names."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.errors import FormatError
from llamacy.formats.hugging_face import open_hugging_face
from tests.support import random_model
from tests.support.hugging_face import (
    hugging_face_tensors,
    write_babble,
    write_tensors,
)

Tensors = dict[str, NDArray[Any]]
N_VOCAB = len(random_model.vocabulary()[0])
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
IDS = [1, 5, 9, 3]


@pytest.fixture
def tensors() -> Tensors:
    return hugging_face_tensors(random_model.tensors(N_VOCAB, seed=0))


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Write the babbling model with other tensors, and changes to config.json."""

    def write(tensors: Tensors, n_files: int = 1, **config: Any) -> Path:
        path = write_babble(tmp_path / "babble", config=config)
        (path / "model.safetensors").unlink()
        write_tensors(path, tensors, n_files)
        return path

    return write


def logits(path: Path) -> NDArray[np.float32]:
    with llamacy.load(path, kv_type="f32") as model:
        return model.logits(IDS)


def test_tensors_that_nothing_needs_are_passed_over_and_named(
    folder: Callable[..., Path], tensors: Tensors, caplog: pytest.LogCaptureFixture
) -> None:
    extra = {
        "model.note.weight": np.ones(4, np.float32),
        "model.layers.0.note.weight": np.ones(4, np.float32),
        "model.layers.4.mlp.up_proj.weight": np.ones((2, 2), np.float32),
        "model.layers.0.self_attn.q_proj.bias": np.ones(64, np.float32),
    }
    silent = {
        "model.position_ids": np.zeros(2),
        "model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(4, np.float32),
    }
    path = folder(tensors)
    want = logits(path)
    assert not caplog.records
    path = folder(tensors | extra | silent)
    np.testing.assert_array_equal(logits(path), want)
    (record,) = caplog.records
    first = "model.note.weight, model.layers.0.note.weight, model.layers.4.mlp.up_proj"
    assert f"passed over that the model does not need: {first}" in record.getMessage()
    assert record.getMessage().endswith(" and 1 more")


def test_names_without_the_models_own_prefix_are_read(
    folder: Callable[..., Path], tensors: Tensors
) -> None:
    want = logits(folder(tensors))
    bare = {name.removeprefix("model."): values for name, values in tensors.items()}
    np.testing.assert_array_equal(logits(folder(bare)), want)


def test_float64_is_read_as_its_nearest_float32(
    folder: Callable[..., Path], tensors: Tensors
) -> None:
    want = logits(folder(tensors))
    doubles = {name: values.astype(np.float64) for name, values in tensors.items()}
    np.testing.assert_array_equal(logits(folder(doubles)), want)


@pytest.mark.parametrize("n_files", [1, 2])
def test_a_tied_model_with_another_output_matrix_keeps_it(
    folder: Callable[..., Path],
    tensors: Tensors,
    n_files: int,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As in transformers; in what `convert` makes of it too."""
    want = logits(folder(tensors, tie_word_embeddings=False))
    assert not caplog.records
    path = folder(tensors, n_files, tie_word_embeddings=True)
    np.testing.assert_array_equal(logits(path), want)
    assert "lm_head.weight and model.embed_tokens.weight differ" in caplog.text
    made = llamacy.convert(path, tmp_path / "made.gguf")
    np.testing.assert_array_equal(logits(Path(made.path)), want)


def test_a_tied_model_may_have_its_matrix_twice_or_under_either_name(
    folder: Callable[..., Path], tensors: Tensors, caplog: pytest.LogCaptureFixture
) -> None:
    matrix = tensors.pop(HEAD)
    del tensors[EMBEDDING]
    results = [
        logits(folder(tensors | names, tie_word_embeddings=True))
        for names in (
            {EMBEDDING: matrix, HEAD: matrix},
            {EMBEDDING: matrix},
            {HEAD: matrix},
        )
    ]
    for found in results[1:]:
        np.testing.assert_array_equal(found, results[0])
    assert not caplog.records


def test_a_tied_matrix_listed_in_the_index_may_be_missing(
    folder: Callable[..., Path], tensors: Tensors
) -> None:
    del tensors[HEAD]
    path = folder(tensors, 2, tie_word_embeddings=True)
    want = logits(path)
    index = path / "model.safetensors.index.json"
    value = json.loads(index.read_text())
    value["weight_map"][HEAD] = value["weight_map"][EMBEDDING]
    index.write_text(json.dumps(value))
    np.testing.assert_array_equal(logits(path), want)
    del tensors["model.norm.weight"]
    path = folder(tensors, 2, tie_word_embeddings=True)
    with pytest.raises(FormatError, match=r"model\.norm\.weight: wanted a tensor that"):
        open_hugging_face(path)
