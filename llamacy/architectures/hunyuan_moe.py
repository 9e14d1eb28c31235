"""Hunyuan A13B: experts in all layers, and one as wide that all tokens go through.

Tencent 2025 (huggingface.co/tencent/Hunyuan-A13B-Instruct). Queries and keys are normed
after they are rotated. Experts are as wide as the network of the file.
"""

from __future__ import annotations

from dataclasses import replace

from llamacy.architectures.attention import (
    attention,
    attention_tensors,
    head_norm_tensors,
)
from llamacy.architectures.feed_forward import feed_forward, feed_forward_tensors
from llamacy.architectures.layers import Layers, layers_with
from llamacy.architectures.parts import Parts, Value
from llamacy.architectures.tensors import Specs, norm_tensors
from llamacy.config import ExpertConfig, LayerConfig, ModelConfig


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with experts as wide as its networks."""
    return layers_with(config, is_neox=True, experts=_widened)


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: Qwen 3's, with experts."""
    return {
        **norm_tensors(config, "attn_norm", "ffn_norm"),
        **attention_tensors(config, layer),
        **head_norm_tensors(layer),
        **feed_forward_tensors(config, layer),
    }


def forward(model: Parts) -> Value:
    """Add as LLaMA does; heads are rotated, then normed."""
    ops, x = model.ops, model.embed()
    for block in model.layers():
        h = block.norm(x, "attn_norm")
        x = ops.add(x, attention(block, h, are_rotated_normed=True))
        x = ops.add(x, feed_forward(block, block.norm(x, "ffn_norm")))
    return model.logits(x)


def _widened(n_ff: int, experts: ExpertConfig) -> ExpertConfig:
    return replace(experts, n_ff=n_ff, n_ff_shared=experts.n_ff_shared or n_ff)
