"""Tiny recurrent models with random weights, which babble.

An LFM2 has convolutions beside attention; a Mamba-2 has scans alone, and no keys; a
Jamba has other scans beside attention, and experts; a Kimi Linear has a delta rule
beside latent attention, and experts.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import llamacy
from tests.support import random_model
from tests.support.model_shapes import model_shapes

N_CTX = 1024
N_HEAD_KV = [0, 2, 0, 0, 1]
KEYS: dict[str, dict[str, Any]] = {
    "lfm2": {
        "block_count": len(N_HEAD_KV),
        "attention__head_count_kv": N_HEAD_KV,
        "shortconv__l_cache": 3,
    },
    "kimi-linear": {
        "block_count": 4,
        "attention__head_count_kv": [0, 1, 0, 0],
        "attention__kv_lora_rank": 32,
        "attention__key_length_mla": 24,
        "attention__value_length_mla": 16,
        "rope__dimension_count": 8,
        "ssm__conv_kernel": 4,
        "kda__head_dim": 8,
        "expert_count": 4,
        "expert_used_count": 4,  # else which of two comes may turn on a last digit
        "expert_feed_forward_length": 32,
        "expert_shared_count": 1,
        "leading_dense_block_count": 1,
    },
    "mamba2": {
        "block_count": 3,
        "attention__head_count": 0,
        "feed_forward_length": 0,
        "ssm__conv_kernel": 4,
        "ssm__state_size": 8,
        "ssm__group_count": 1,
        "ssm__time_step_rank": 4,
        "ssm__inner_size": 64,
    },
    "jamba": {
        "block_count": 4,
        "attention__head_count_kv": [0, 2, 0, 0],
        "expert_count": 4,
        "expert_used_count": [0, 2, 0, 2],
        "ssm__conv_kernel": 4,
        "ssm__state_size": 8,
        "ssm__time_step_rank": 32,
        "ssm__inner_size": 64,
    },
}

WriteModel = Callable[..., Path]


def write(
    folder: Path,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., dict[str, NDArray[np.float32]]],
    family: str,
) -> Path:
    """Write a model of the family, in Q8_0."""
    metadata = llama_metadata(family, context_length=N_CTX, **KEYS[family])
    metadata |= random_model.vocabulary_metadata()
    metadata["tokenizer.chat_template"] = random_model.CHAT_TEMPLATE
    shapes = model_shapes(write_gguf, folder, metadata)
    tensors = random_tensors(shapes.items())
    for name in tensors:  # steps decay what is kept
        if name.endswith(".ssm_a"):
            tensors[name] = -np.abs(tensors[name])
    whole = write_gguf(folder / "whole.gguf", metadata, tensors, "F32")
    llamacy.quantize(whole, folder / "model.gguf", "Q8_0")
    return folder / "model.gguf"
