"""Qwen 1.5 MoE and Qwen 2 MoE: many small experts, and one that all tokens go through.

Yang et al. 2024 (arXiv:2407.10671): Qwen 2's layers, with a mixture of experts whose
weights are shares of the softmax of all scores, and beside it a wider feed-forward
network, let through by the sigmoid of a score of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llamacy.architectures.experts import (
    expert_tensors,
    expert_width,
    experts_of,
    mixture,
)
from llamacy.architectures.transformer import (
    Block,
    attention_tensors,
    logits,
    model_tensors,
    norm_tensors,
    optional_biases,
    rope_of,
)
from llamacy.architectures.weights import TensorSpec, required
from llamacy.config import ModelConfig
from llamacy.ops.vocabulary import Ops


def tensors(config: ModelConfig) -> dict[str, TensorSpec]:
    """Names and shapes of the tensors this family is made of."""
    attention = attention_tensors(config)
    n_embd, n_shared = config.n_embd, experts_of(config).n_ff_shared or config.n_ff
    return model_tensors(
        config,
        {
            **norm_tensors(config, "attn_norm", "ffn_norm"),
            **attention,
            **optional_biases(attention),
            **expert_tensors(config, expert_width(config)),
            "ffn_gate_inp_shexp.weight": required(n_embd),
            "ffn_gate_shexp.weight": required(n_shared, n_embd),
            "ffn_up_shexp.weight": required(n_shared, n_embd),
            "ffn_down_shexp.weight": required(n_embd, n_shared),
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
        x = ops.add(x, mixture(block, h, is_normalized=False))
        x = ops.add(x, _shared_expert(block, h))
    return logits(ops, config, weights, x)


def _shared_expert(block: Block, x: Any) -> Any:
    gate, up = block.linear(x, "ffn_gate_shexp"), block.linear(x, "ffn_up_shexp")
    y = block.linear(block.ops.silu_mul(gate, up), "ffn_down_shexp")
    return block.ops.sigmoid_gate(y, x, block.weight("ffn_gate_inp_shexp.weight"))
