"""Qwen 3 MoE: Qwen 3's attention, with norms of queries and keys, and experts.

Yang et al. 2025 (arXiv:2505.09388). The weights of a token's experts have the sum 1,
unless the file says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llamacy.architectures.experts import expert_tensors, expert_width, mixture
from llamacy.architectures.transformer import (
    Block,
    attention_tensors,
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
            "attn_q_norm.weight": required(config.head_dim),
            "attn_k_norm.weight": required(config.head_dim),
            **expert_tensors(config, expert_width(config)),
        },
    )


def forward(ops: Ops[Any, Any], config: ModelConfig, weights: Mapping[str, Any]) -> Any:
    """Logits of the wanted rows: (n_wanted, n_vocab)."""
    rope = rope_of(config, weights, is_neox=True)
    x = ops.embedding(weights["token_embd.weight"])  # (M, n_embd)
    for layer in range(config.n_layer):
        block = Block(ops, config, weights, layer)
        x = ops.add(x, block.attention(block.norm(x, "attn_norm"), rope))
        h = block.norm(x, "ffn_norm")
        x = ops.add(x, mixture(block, h, is_normalized=True))
    return logits(ops, config, weights, x)
