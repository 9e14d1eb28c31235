"""A tiny LFM2 with random weights, which babbles: convolutions beside attention."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import llamacy
from llamacy.formats.gguf.file import open_gguf
from llamacy.model_files.hyperparameters import read_hyperparameters
from tests.support import random_model

N_CTX = 1024
N_HEAD_KV = [0, 2, 0, 0, 1]

WriteModel = Callable[..., Path]


def write(
    folder: Path,
    write_gguf: Callable[..., Path],
    metadata: dict[str, Any],
    random_tensors: Callable[..., dict[str, NDArray[np.float32]]],
) -> Path:
    """Write the model of `metadata`, a LLaMA's, as an LFM2 in Q8_0."""
    pieces, scores, types = random_model.vocabulary()
    metadata = {key.replace("llama.", "lfm2."): each for key, each in metadata.items()}
    metadata |= {
        "general.architecture": "lfm2",
        "lfm2.block_count": len(N_HEAD_KV),
        "lfm2.attention.head_count_kv": N_HEAD_KV,
        "lfm2.shortconv.l_cache": 3,
        "lfm2.vocab_size": len(pieces),
        "lfm2.context_length": N_CTX,
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": pieces,
        "tokenizer.ggml.scores": scores,
        "tokenizer.ggml.token_type": types,
        "tokenizer.chat_template": random_model.CHAT_TEMPLATE,
    }
    with open_gguf(write_gguf(folder / "plain.gguf", metadata, {}, "F32")) as file:
        architecture, config = read_hyperparameters(file)
        specs = architecture.tensors(config)
    tensors = random_tensors(
        (name, spec.shape) for name, spec in specs.items() if spec.is_required
    )
    whole = write_gguf(folder / "whole.gguf", metadata, tensors, "F32")
    llamacy.quantize(whole, folder / "model.gguf", "Q8_0")
    return folder / "model.gguf"
