"""Qwen3, dense: Qwen2's layers with norms of each head's queries and keys for biases.

Qwen Team 2025 (arXiv:2505.09388). The forward pass is that of Qwen2, whose attention
norms queries and keys where there are norms for them.
"""

from __future__ import annotations

from llamacy.architectures.qwen2 import forward
from llamacy.architectures.transformer import (
    attention_tensors,
    feed_forward_tensors,
    model_tensors,
    norm_tensors,
)
from llamacy.architectures.weights import TensorSpec, required
from llamacy.config import ModelConfig

__all__ = ["forward", "tensors"]


def tensors(config: ModelConfig) -> dict[str, TensorSpec]:
    """Names and shapes of the tensors this family is made of."""
    return model_tensors(
        config,
        {
            **norm_tensors(config, "attn_norm", "ffn_norm"),
            **attention_tensors(config),
            "attn_q_norm.weight": required(config.head_dim),
            "attn_k_norm.weight": required(config.head_dim),
            **feed_forward_tensors(config),
        },
    )
