"""Laguna: Qwen 3 MoE's layers with gates of attention, and DeepSeek's router.

Poolside 2026 (huggingface.co/poolside/Laguna-XS.2). The result of attention is
multiplied by the softplus of a projection of what it reads: one factor a head or, in
the largest model, one a number, as the matrix's rows say. Layers with a window have as
many heads and such rotations as their keys say; the first layers are dense, and one
expert more is for all tokens.
"""

from __future__ import annotations

from dataclasses import replace

from llamacy.architectures.attention import (
    attention,
    attention_tensors,
    attention_widths,
    head_norm_tensors,
)
from llamacy.architectures.experts import selection_bias_tensors
from llamacy.architectures.feed_forward import feed_forward, feed_forward_tensors
from llamacy.architectures.layers import Layers, layers_with, with_shared
from llamacy.architectures.parts import Parts, Value
from llamacy.architectures.tensors import (
    Specs,
    TensorSpec,
    norm_tensors,
    optional_biases,
)
from llamacy.config import ExpertConfig, LayerConfig, ModelConfig

__all__ = ["forward", "layers", "tensors"]


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with its experts and the shared one."""
    return layers_with(config, is_neox=True, experts=_with_one_shared)


def _with_one_shared(n_ff: int, experts: ExpertConfig) -> ExpertConfig:
    """Return the experts, with one for all tokens where the file does not say."""
    return with_shared(n_ff, replace(experts, n_shared=experts.n_shared or 1))


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: Qwen 3's, with a gate and the router's bias."""
    matrices = attention_tensors(config, layer)
    _, _, _, n_out = attention_widths(layer)
    return {
        **norm_tensors(config, "attn_norm", "ffn_norm"),
        **matrices,
        **optional_biases(matrices),
        **head_norm_tensors(layer),
        "attn_gate.weight": TensorSpec(
            (layer.attention.n_head, config.n_embd),
            True,
            other_shape=(n_out, config.n_embd),
        ),
        **feed_forward_tensors(config, layer),
        **selection_bias_tensors(layer),
    }


def forward(model: Parts) -> Value:
    """Gate what attention makes of each norm before its last matrix."""
    ops, x = model.ops, model.embed()
    for block in model.layers():
        h = block.norm(x, "attn_norm")
        gate = ops.softplus(block.linear(h, "attn_gate"))
        x = ops.add(x, attention(block, h, gate=gate))
        x = ops.add(x, feed_forward(block, block.norm(x, "ffn_norm")))
    return model.logits(x)
