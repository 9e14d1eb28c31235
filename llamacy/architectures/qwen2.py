"""Qwen2 and Qwen2.5: LLaMA's layers with biases on queries, keys and values.

Qwen Team 2024 (arXiv:2407.10671). Rotated pairs are half a head apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llamacy.architectures.transformer import (
    Block,
    attention_tensors,
    feed_forward_tensors,
    logits,
    model_tensors,
    norm_tensors,
    rope_of,
)
from llamacy.architectures.weights import TensorSpec, required
from llamacy.config import ModelConfig
from llamacy.ops.vocabulary import Ops


def tensors(config: ModelConfig) -> dict[str, TensorSpec]:
    """Names and shapes of the tensors this family is made of."""
    return model_tensors(
        config,
        {
            **norm_tensors(config, "attn_norm", "ffn_norm"),
            **attention_tensors(config),
            "attn_q.bias": required(config.n_head * config.head_dim),
            "attn_k.bias": required(config.n_head_kv * config.head_dim),
            "attn_v.bias": required(config.n_head_kv * config.head_dim),
            **feed_forward_tensors(config),
        },
    )


def forward(ops: Ops[Any, Any], config: ModelConfig, weights: Mapping[str, Any]) -> Any:
    """Logits of the wanted rows: (n_wanted, n_vocab)."""
    rope = rope_of(config, weights, is_neox=True)
    x = ops.embedding(weights["token_embd.weight"])  # (M, n_embd)
    for layer in range(config.n_layer):
        block = Block(ops, config, weights, layer)
        x = ops.add(x, block.attention(block.norm(x, "attn_norm"), rope))
        x = ops.add(x, block.feed_forward(block.norm(x, "ffn_norm")))
    return logits(ops, config, weights, x)
