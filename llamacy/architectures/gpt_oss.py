"""gpt-oss: experts with biases and a clamped gated unit, sinks, and windows by turns.

OpenAI 2025 (arXiv:2508.10925). Every other layer, the first among them, attends to a
window of the last tokens; each head has a sink, a score that takes part in the softmax
for no value. Positions are scaled by YaRN, whose correction range is not rounded to
whole pairs of dimensions here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

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
    window_of,
)
from llamacy.architectures.weights import TensorSpec, required
from llamacy.config import ModelConfig
from llamacy.ops.vocabulary import Ops

_WINDOW: Final = 128
_PERIOD: Final = 2  # the second layer of each two sees all


def tensors(config: ModelConfig) -> dict[str, TensorSpec]:
    """Names and shapes of the tensors this family is made of."""
    attention = attention_tensors(config)
    n_expert, n_embd = experts_of(config).n_expert, config.n_embd
    n_ff = expert_width(config)
    return model_tensors(
        config,
        {
            **norm_tensors(config, "attn_norm", "post_attention_norm"),
            **attention,
            **optional_biases(attention),
            "attn_sinks.weight": required(config.n_head),
            **expert_tensors(config, n_ff),
            "ffn_gate_inp.bias": required(n_expert),
            "ffn_gate_exps.bias": required(n_expert, n_ff),
            "ffn_up_exps.bias": required(n_expert, n_ff),
            "ffn_down_exps.bias": required(n_expert, n_embd),
        },
    )


def forward(ops: Ops[Any, Any], config: ModelConfig, weights: Mapping[str, Any]) -> Any:
    """Logits of the wanted rows: (n_wanted, n_vocab)."""
    config = replace(config, rope=replace(config.rope, is_range_rounded=False))
    rope = rope_of(config, weights, is_neox=True)
    x = ops.embedding(weights["token_embd.weight"])  # (M, n_embd)
    for layer in range(config.n_layer):
        block = Block(ops, config, weights, layer)
        window = window_of(config, layer, _PERIOD, default=_WINDOW)
        h = block.attention(block.norm(x, "attn_norm"), rope, window=window)
        x = ops.add(x, h)
        h = block.norm(x, "post_attention_norm")
        x = ops.add(
            x,
            mixture(block, h, is_normalized=True, activation="clamped_swiglu"),
        )
    return logits(ops, config, weights, x)
