"""Folders of encoders, as transformers saves them, give its rows, and its scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.config import Pooling
from llamacy.ops.batch import TextBatch
from tests.support.embedded import embed
from tests.support.forward_passes import error

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch", reason="PyTorch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is absent")

Array = NDArray[np.float32]
N_VOCAB = 96
LENGTHS = (1, 2, 40, 7, 33)
SIZES: dict[str, Any] = {
    "vocab_size": N_VOCAB,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
}
DISTILBERT: dict[str, Any] = {
    "vocab_size": N_VOCAB,
    **{"dim": 64, "hidden_dim": 160, "n_layers": 3, "n_heads": 4},
    **{"max_position_embeddings": 64, "initializer_range": 0.3},
}
MODERN = {**SIZES, "num_hidden_layers": 5, "local_attention": 8, "pad_token_id": 0}
NOMIC = {**SIZES, "initializer_range": 0.2}
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


def make(folder: Path, name: str, settings: dict[str, Any]) -> Any:
    """Save a model of random weights, biases and norms, and return it."""
    torch.manual_seed(0)
    kind = getattr(transformers, name)
    model = kind(kind.config_class(**settings)).float().eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if key.endswith("bias") or "norm" in key.lower():
                parameter.add_(torch.randn_like(parameter) * 0.2)
    model.save_pretrained(folder)
    return model


def texts(model: Any) -> tuple[list[list[int]], list[list[int]] | None]:
    """Return ids of texts, and types if the model tells them apart."""
    rng = np.random.default_rng(0)
    ids = [rng.integers(4, N_VOCAB, n).tolist() for n in LENGTHS]
    n_types = getattr(model.config, "type_vocab_size", 0)
    if n_types < 2:
        return ids, None
    return ids, [[0] * (n // 2) + [1] * (n - n // 2) for n in LENGTHS]


def of_transformers(model: Any) -> Array:
    """Return the rows of all texts, or a classifier's scores of each."""
    found, (ids, types) = [], texts(model)
    base = getattr(model, model.base_model_prefix, model)
    model = model if type(model).__name__.endswith("Classification") else base
    for i, text in enumerate(ids):
        options = {} if types is None else {"token_type_ids": torch.tensor([types[i]])}
        with torch.no_grad():
            made = model(torch.tensor([text]), **options)
        found.append(made[0].reshape(-1, made[0].shape[-1]).numpy())
    return np.concatenate(found)


def embedded(path: Path, model: Any, pooling: Pooling, kind: Any = "plan") -> Array:
    return embed(path, TextBatch.of(*texts(model)), pooling, kind)


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
