"""Tiny recurrent models with random weights, which babble.

An LFM2 has convolutions beside attention; a Mamba-2 has scans alone, and no keys; a
Kimi Linear has a delta rule beside latent attention, and experts.
"""

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
KEYS: dict[str, dict[str, Any]] = {
    "lfm2": {
        "block_count": len(N_HEAD_KV),
        "attention.head_count_kv": N_HEAD_KV,
        "shortconv.l_cache": 3,
    },
    "kimi-linear": {
        "block_count": 4,
        "attention.head_count_kv": [0, 1, 0, 0],
        "attention.kv_lora_rank": 32,
        "attention.key_length_mla": 24,
        "attention.value_length_mla": 16,
        "rope.dimension_count": 8,
        "ssm.conv_kernel": 4,
        "kda.head_dim": 8,
        "expert_count": 4,
        "expert_used_count": 2,
        "expert_feed_forward_length": 32,
        "expert_shared_count": 1,
        "leading_dense_block_count": 1,
    },
    "mamba2": {
        "block_count": 3,
        "attention.head_count": 0,
        "feed_forward_length": 0,
        "ssm.conv_kernel": 4,
        "ssm.state_size": 8,
        "ssm.group_count": 1,
        "ssm.time_step_rank": 4,
        "ssm.inner_size": 64,
    },
}

WriteModel = Callable[..., Path]


def write(
    folder: Path,
    write_gguf: Callable[..., Path],
    metadata: dict[str, Any],
    random_tensors: Callable[..., dict[str, NDArray[np.float32]]],
    family: str = "lfm2",
) -> Path:
    """Write the model of `metadata`, a LLaMA's, as one of the family in Q8_0."""
    pieces, scores, types = random_model.vocabulary()
    own = {"vocab_size": len(pieces), "context_length": N_CTX} | KEYS[family]
    metadata = {
        key.replace("llama.", f"{family}."): each for key, each in metadata.items()
    }
    metadata |= {f"{family}.{key}": each for key, each in own.items()}
    metadata |= {
        "general.architecture": family,
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
    for name in tensors:  # steps decay what is kept
        if name.endswith(".ssm_a"):
            tensors[name] = -np.abs(tensors[name])
    whole = write_gguf(folder / "whole.gguf", metadata, tensors, "F32")
    llamacy.quantize(whole, folder / "model.gguf", "Q8_0")
    return folder / "model.gguf"
