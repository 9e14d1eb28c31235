"""Encoders of random weights as transformers saves them, and their rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamacy.config import Pooling
from llamacy.ops.batch import TextBatch
from tests.support.embedded import embed

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
MODERN = {**SIZES, "num_hidden_layers": 5, "local_attention": 8, "pad_token_id": 0}
NOMIC = {**SIZES, "initializer_range": 0.2}


def make(folder: Path, name: str, settings: dict[str, Any]) -> Any:
    """Save a model of random weights, biases and norms, and return it."""
    import torch
    import transformers

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
    import torch

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
    """Embed the same texts."""
    return embed(path, TextBatch.of(*texts(model)), pooling, kind)
