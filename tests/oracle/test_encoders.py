"""Folders of encoders, as transformers saves them, give its rows, and its scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import llamacy
from tests.support.forward_passes import error
from tests.support.saved_encoders import (
    MODERN,
    N_VOCAB,
    NOMIC,
    SIZES,
    embedded,
    make,
    of_transformers,
)

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch", reason="PyTorch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is absent")

DISTILBERT: dict[str, Any] = {
    "vocab_size": N_VOCAB,
    **{"dim": 64, "hidden_dim": 160, "n_layers": 3, "n_heads": 4},
    **{"max_position_embeddings": 64, "initializer_range": 0.3},
}
ENCODERS: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("BertModel", SIZES),
    "bert, relu": ("BertModel", SIZES | {"hidden_act": "relu"}),
    "bert, tanh": ("BertModel", SIZES | {"hidden_act": "gelu_new"}),
    "bert, hidden words": ("BertForMaskedLM", SIZES),
    "roberta": ("RobertaModel", SIZES | {"type_vocab_size": 1}),
    "xlm-roberta": ("XLMRobertaModel", SIZES | {"pad_token_id": 3}),
    "camembert": ("CamembertForMaskedLM", SIZES),
    "distilbert": ("DistilBertModel", DISTILBERT),
    "modern-bert": ("ModernBertModel", MODERN),
    "modern-bert, silu": (
        "ModernBertForMaskedLM",
        MODERN | {"hidden_activation": "silu"},
    ),
    "modern-bert, an odd window and biases": (
        "ModernBertModel",
        MODERN
        | dict.fromkeys(("norm_bias", "attention_bias", "mlp_bias"), True)
        | {"local_attention": 7},
    ),
    "modern-bert, kinds of layers": (
        "ModernBertModel",
        MODERN | {"layer_types": ["sliding_attention", *["full_attention"] * 4]},
    ),
    "nomic-bert": ("NomicBertForMaskedLM", NOMIC),
    "jina-bert-v3": ("JinaEmbeddingsV3Model", SIZES),
}
CLASSIFIERS: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("BertForSequenceClassification", SIZES | {"num_labels": 1}),
    "xlm-roberta": ("XLMRobertaForSequenceClassification", SIZES | {"num_labels": 3}),
    "modern-bert": ("ModernBertForSequenceClassification", MODERN | {"num_labels": 1}),
    "modern-bert, mean": (
        "ModernBertForSequenceClassification",
        MODERN
        | {"num_labels": 3, "classifier_pooling": "mean"}
        | {"classifier_bias": True, "norm_bias": True},
    ),
    "nomic-bert": ("NomicBertForSequenceClassification", NOMIC | {"num_labels": 3}),
    "jina-bert-v3": (
        "JinaEmbeddingsV3ForSequenceClassification",
        SIZES | {"num_labels": 1},
    ),
}


@pytest.mark.parametrize("case", ENCODERS)
def test_rows_are_those_of_transformers(tmp_path: Path, case: str) -> None:
    """Of a folder, and of the GGUF file that it is converted to."""
    folder = tmp_path / "folder"
    model = make(folder, *ENCODERS[case])
    wanted = of_transformers(model)
    for kind in ("reference", "plan"):
        assert error(embedded(folder, model, "none", kind), wanted) < 5e-5
    file = tmp_path / "file.gguf"
    llamacy.convert(folder, file)
    np.testing.assert_array_equal(
        embedded(file, model, "none"), embedded(folder, model, "none")
    )


@pytest.mark.parametrize("case", CLASSIFIERS)
def test_scores_are_those_of_transformers(tmp_path: Path, case: str) -> None:
    folder = tmp_path / "folder"
    model = make(folder, *CLASSIFIERS[case])
    wanted = of_transformers(model)
    for kind in ("reference", "plan"):
        assert error(embedded(folder, model, "rank", kind), wanted) < 5e-5
    file = tmp_path / "file.gguf"
    llamacy.convert(folder, file)
    assert error(embedded(file, model, "rank"), wanted) < 5e-5
