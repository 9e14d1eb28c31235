"""Phi-3, Phi-3.5 and Phi-4: LLaMA's layers with projections stacked in one matrix.

Abdin et al. 2024 (arXiv:2404.14219). Queries, keys and values are one matrix, gate and
up another; they are taken apart as they are loaded. Pairs are half of the rotated
dimensions apart, which may be fewer than a head has. Models for long contexts have two
sets of factors for their frequencies; where a file names a window, all layers have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llamacy.architectures.transformer import (
    Block,
    logits,
    model_tensors,
    norm_tensors,
    rope_of,
    window_of,
)
from llamacy.architectures.weights import TensorSpec, required, stacked
from llamacy.config import ModelConfig
from llamacy.ops.vocabulary import Ops


def tensors(config: ModelConfig) -> dict[str, TensorSpec]:
    """Names and shapes of the tensors this family is made of."""
    n_embd, n_ff = config.n_embd, config.n_ff
    n_q = config.n_head * config.head_dim
    n_kv = config.n_head_kv * config.head_dim
    return model_tensors(
        config,
        {
            **norm_tensors(config, "attn_norm", "ffn_norm"),
            "attn_qkv.weight": stacked(n_embd, attn_q=n_q, attn_k=n_kv, attn_v=n_kv),
            "attn_output.weight": required(n_embd, n_q),
            "ffn_up.weight": stacked(n_embd, ffn_gate=n_ff, ffn_up=n_ff),
            "ffn_down.weight": required(n_embd, n_ff),
        },
    )


def forward(ops: Ops[Any, Any], config: ModelConfig, weights: Mapping[str, Any]) -> Any:
    """Logits of the wanted rows: (n_wanted, n_vocab)."""
    rope = rope_of(config, weights, is_neox=True)
    x = ops.embedding(weights["token_embd.weight"])  # (M, n_embd)
    for layer in range(config.n_layer):
        block = Block(ops, config, weights, layer)
        h = block.norm(x, "attn_norm")
        window = window_of(config, layer, period=0)
        x = ops.add(x, block.attention(h, rope, window=window))
        x = ops.add(x, block.feed_forward(block.norm(x, "ffn_norm")))
    return logits(ops, config, weights, x)
