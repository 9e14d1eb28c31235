"""The LLaMA family: LLaMA 1-3, Mistral 7B, Mixtral, TinyLlama, SmolLM and their kin.

Touvron et al. 2023 (arXiv:2302.13971): pre-norm with RMS norms, rotary positions,
grouped-query attention (Ainslie et al. 2023, arXiv:2305.13245), SwiGLU. Biases
and the separate output matrix are optional. Mixtral (Jiang et al. 2024,
arXiv:2401.04088) has a mixture of experts instead of one feed-forward network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from llamacy.architectures.experts import expert_tensors, mixture
from llamacy.architectures.weights import (
    TensorSpec,
    optional,
    optional_divisors,
    required,
)
from llamacy.config import ModelConfig
from llamacy.ops.rope import Rope
from llamacy.ops.vocabulary import Ops


def tensors(config: ModelConfig) -> dict[str, TensorSpec]:
    """Names and shapes of the tensors this family is made of."""
    n_embd = config.n_embd
    n_q = config.n_head * config.head_dim
    n_kv = config.n_head_kv * config.head_dim
    specs = {
        "token_embd.weight": required(config.n_vocab, n_embd),
        "output_norm.weight": required(n_embd),
        "output.weight": optional(config.n_vocab, n_embd),
        "rope_freqs.weight": optional_divisors(config.rope.n_dims // 2),
    }
    for layer in range(config.n_layer):
        block = {
            "attn_norm.weight": required(n_embd),
            "attn_q.weight": required(n_q, n_embd),
            "attn_k.weight": required(n_kv, n_embd),
            "attn_v.weight": required(n_kv, n_embd),
            "attn_output.weight": required(n_embd, n_q),
            "attn_q.bias": optional(n_q),
            "attn_k.bias": optional(n_kv),
            "attn_v.bias": optional(n_kv),
            "attn_output.bias": optional(n_embd),
            "ffn_norm.weight": required(n_embd),
            **_feed_forward_tensors(config),
        }
        specs |= {f"blk.{layer}.{name}": spec for name, spec in block.items()}
    return specs


def _feed_forward_tensors(config: ModelConfig) -> dict[str, TensorSpec]:
    n_embd, n_ff = config.n_embd, config.n_ff
    if config.experts is not None:
        return expert_tensors(config.experts, n_embd, n_ff)
    return {
        "ffn_gate.weight": required(n_ff, n_embd),
        "ffn_up.weight": required(n_ff, n_embd),
        "ffn_down.weight": required(n_embd, n_ff),
        "ffn_gate.bias": optional(n_ff),
        "ffn_up.bias": optional(n_ff),
        "ffn_down.bias": optional(n_embd),
    }


def forward(ops: Ops[Any, Any], config: ModelConfig, weights: Mapping[str, Any]) -> Any:
    """Logits of the wanted rows: (n_wanted, n_vocab)."""
    rope = Rope.from_config(
        config.rope, config.head_dim, weights.get("rope_freqs.weight")
    )
    x = ops.embedding(weights["token_embd.weight"])  # (M, n_embd)
    for layer in range(config.n_layer):
        block = _Block(ops, weights, layer)
        x = ops.add(x, _attention(block, config, rope, x))
        x = ops.add(x, _feed_forward(block, config, x))
    x = ops.wanted(x)
    x = ops.rms_norm(x, weights["output_norm.weight"], config.norm_eps)
    # without an output matrix of its own a model reads the embedding backwards
    return ops.linear(x, weights.get("output.weight", weights["token_embd.weight"]))


class _Block:
    """One layer's weights, and the two ways they are applied."""

    def __init__(
        self, ops: Ops[Any, Any], weights: Mapping[str, Any], layer: int
    ) -> None:
        self.ops = ops
        self.layer = layer
        self.weights = weights
        self._prefix = f"blk.{layer}."

    def norm(self, x: Any, name: str, eps: float) -> Any:
        return self.ops.rms_norm(x, self.weights[f"{self._prefix}{name}.weight"], eps)

    def linear(self, x: Any, name: str) -> Any:
        weight = self.weights[f"{self._prefix}{name}.weight"]
        return self.ops.linear(
            x, weight, self.weights.get(f"{self._prefix}{name}.bias")
        )


def _attention(block: _Block, config: ModelConfig, rope: Rope, x: Any) -> Any:
    ops = block.ops
    h = block.norm(x, "attn_norm", config.norm_eps)
    q = ops.rope(block.linear(h, "attn_q"), rope)  # (M, n_head * head_dim)
    k = ops.rope(block.linear(h, "attn_k"), rope)  # (M, n_head_kv * head_dim)
    v = block.linear(h, "attn_v")
    scale = 1 / math.sqrt(config.head_dim)
    h = ops.attention(q, k, v, layer=block.layer, scale=scale)
    return block.linear(h, "attn_output")


def _feed_forward(block: _Block, config: ModelConfig, x: Any) -> Any:
    h = block.norm(x, "ffn_norm", config.norm_eps)
    if config.experts is not None:
        return mixture(
            *(block.ops, block.weights, block.layer, h),
            config.experts,
            is_normalized=True,
        )
    h = block.ops.silu_mul(block.linear(h, "ffn_gate"), block.linear(h, "ffn_up"))
    return block.linear(h, "ffn_down")
