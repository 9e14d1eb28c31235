"""Stand-ins for GGUF files: metadata of a small model, with changes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from llamacy.config import ModelConfig
from llamacy.formats.gguf.file import GGUFFile

MINIMAL: dict[str, Any] = {
    "general.architecture": "llama",
    "llama.block_count": 2,
    "llama.embedding_length": 64,
    "llama.attention.head_count": 8,
    "llama.feed_forward_length": 172,
    "llama.context_length": 512,
    "llama.attention.layer_norm_rms_epsilon": 1e-5,
    "llama.vocab_size": 100,
}


def model(**changes: Any) -> GGUFFile:
    """Stand in for a file with the minimal keys and `changes`; None leaves one out.

    `rope__freq_base` stands for `llama.rope.freq_base`.
    """
    metadata = dict(MINIMAL)
    for name, value in changes.items():
        key = "llama." + name.replace("__", ".")
        metadata.pop(key, None)
        if value is not None:
            metadata[key] = value
    return cast(GGUFFile, SimpleNamespace(path=Path("m.gguf"), metadata=metadata))


def with_key(key: str, value: Any) -> GGUFFile:
    file = model()
    file.metadata[key] = value
    return file


def with_family(name: str, **changes: Any) -> GGUFFile:
    """Return `model(**changes)` as a file of another family."""
    file = model(**changes)
    renamed = {k.replace("llama.", f"{name}."): v for k, v in file.metadata.items()}
    file.metadata.clear()
    file.metadata.update(renamed | {"general.architecture": name})
    return file


def heads(config: ModelConfig) -> list[tuple[int, int, int, int]]:
    """Heads of queries and of keys, and their sizes for keys and values, by layer."""
    mixers = [layer.attention for layer in config.layers]
    return [(m.n_head, m.n_head_kv, m.head_dim, m.value_dim) for m in mixers]
