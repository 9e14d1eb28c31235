"""Folders of encoders like LLaMA give the rows and scores of transformers."""

from __future__ import annotations

import json
from pathlib import Path
from types import MethodType
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
Folder = tuple[Path, Any]
N_VOCAB, WINDOW = 96, 20
LENGTHS = (1, 2, 40, 7, 33)
SIZES: dict[str, Any] = {
    "vocab_size": N_VOCAB,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,
    "pad_token_id": 0,
}
HEADS = {"head_dim": 24}
GEMMA = {
    **HEADS,
    "num_hidden_layers": 7,
    "sliding_window": WINDOW,
    "query_pre_attn_scalar": 24,
    "use_bidirectional_attention": True,
}
LFM2 = {
    "num_hidden_layers": 4,
    "layer_types": ["conv", "full_attention"] * 2,
    "block_auto_adjust_ff_dim": False,
}
BOTH_WAYS = {"is_causal": False}
ENCODERS: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma-embedding": ("Gemma3TextModel", GEMMA),
    "gemma-embedding, odd": ("Gemma3TextModel", GEMMA | {"sliding_window": 7}),
    "gemma-embedding, causal lm": ("Gemma3ForCausalLM", GEMMA),
    "eurobert": ("EuroBertModel", {}),
    "eurobert, hidden words": ("EuroBertForMaskedLM", {"attention_bias": True}),
    "llama-embed": ("LlamaModel", BOTH_WAYS),
    "qwen3": ("Qwen3Model", HEADS),
    "qwen3, both ways": ("Qwen3ForCausalLM", HEADS | BOTH_WAYS),
    "lfm2": ("Lfm2Model", LFM2),
    "lfm2, both ways": ("Lfm2Model", LFM2 | {"conv_L_cache": 5}),
}
OWN_CLASSES = {
    "llama-embed": "LlamaBidirectionalModel",
    "lfm2, both ways": "Lfm2BidirectionalModel",
}
"""Classes of code beside weights, of which transformers' own are the same or less."""


def make(folder: Path, name: str, settings: dict[str, Any]) -> Any:
    """Save a model of random weights, biases and norms, and return it."""
    torch.manual_seed(0)
    kind = getattr(transformers, name)
    model = kind(kind.config_class(**SIZES | settings)).float().eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if key.endswith("bias") or "norm" in key.lower():
                parameter.add_(torch.randn_like(parameter) * 0.2)
    model.save_pretrained(folder)
    return model


def own_class(folder: Path, model: Any, name: str) -> None:
    """Make a model and its folder those of the class of this name."""
    path = folder / "config.json"
    config = json.loads(path.read_text()) | {"architectures": [name]}
    config.pop("is_causal", None)
    path.write_text(json.dumps(config))
    model.config.is_causal = False
    for layer in model.layers:
        if hasattr(layer, "conv"):
            layer.conv.forward = MethodType(centred, layer.conv)


def centred(self: Any, hidden_states: Any, **_: Any) -> Any:
    """Convolve with the row in the middle, as Liquid AI's encoders do."""
    b, c, x = self.in_proj(hidden_states).transpose(1, 2).chunk(3, dim=1)
    weight = self.conv.weight
    middle, groups = weight.shape[-1] // 2, weight.shape[0]
    convolved = torch.nn.functional.conv1d(b * x, weight, None, 1, middle, 1, groups)
    return self.out_proj((c * convolved).transpose(1, 2))


def texts() -> list[list[int]]:
    rng = np.random.default_rng(0)
    return [rng.integers(4, N_VOCAB, n).tolist() for n in LENGTHS]


def of_transformers(model: Any, *, scores: bool = False) -> Array:
    """Return the rows of all texts, or a classifier's scores of each."""
    found = []
    base = model if scores else getattr(model, model.base_model_prefix, model)
    for text in texts():
        with torch.no_grad():
            made = base(torch.tensor([text]))[0]
        found.append(made.reshape(-1, made.shape[-1]).numpy())
    return np.concatenate(found)


def embedded(path: Path, pooling: Pooling, kind: Any = "plan") -> Array:
    return embed(path, TextBatch.of(texts()), pooling, kind)


@pytest.mark.parametrize("case", ENCODERS)
def test_rows_are_those_of_transformers(tmp_path: Path, case: str) -> None:
    """Of a folder, and of the GGUF file that it is converted to."""
    folder = tmp_path / "folder"
    model = make(folder, *ENCODERS[case])
    if case in OWN_CLASSES:
        own_class(folder, model, OWN_CLASSES[case])
    wanted = of_transformers(model)
    for kind in ("reference", "plan"):
        assert error(embedded(folder, "none", kind), wanted) < 4e-5
    file = tmp_path / "file.gguf"
    llamacy.convert(folder, file)
    np.testing.assert_array_equal(embedded(file, "none"), embedded(folder, "none"))


@pytest.mark.parametrize("pooling", ["bos", "mean", "late"])
def test_scores_are_those_of_transformers(tmp_path: Path, pooling: str) -> None:
    folder = tmp_path / "folder"
    settings = {"classifier_pooling": pooling, "num_labels": 3}
    model = make(folder, "EuroBertForSequenceClassification", settings)
    wanted = of_transformers(model, scores=True)
    for kind in ("reference", "plan"):
        assert error(embedded(folder, "rank", kind), wanted) < 4e-5
    file = tmp_path / "file.gguf"
    llamacy.convert(folder, file)
    assert error(embedded(file, "rank"), wanted) < 4e-5


def test_llama_scores_the_mean_of_its_rows(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    model = make(folder, "LlamaForSequenceClassification", {"num_labels": 1})
    own_class(folder, model.model, "LlamaBidirectionalForSequenceClassification")
    rows = np.split(of_transformers(model), np.cumsum(LENGTHS)[:-1])
    weight = model.score.weight.detach().numpy()
    wanted = np.array([each.mean(axis=0) @ weight.T for each in rows])
    for kind in ("reference", "plan"):
        assert error(embedded(folder, "rank", kind), wanted) < 4e-5
