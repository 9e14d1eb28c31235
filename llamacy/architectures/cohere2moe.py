"""North Mini Code: Cohere 2's parallel layers with experts.

Cohere 2026 (huggingface.co/CohereLabs/North-Mini-Code-1.0). The result of the expert
that all tokens go through, and the sum of the others, are averaged. The dense first
layers have positions, also those that attend to all tokens.
"""

from __future__ import annotations

from llamacy.architectures.attention import attention
from llamacy.architectures.cohere2 import tensors
from llamacy.architectures.feed_forward import feed_forward
from llamacy.architectures.layers import (
    Layers,
    layers_with,
    with_shared,
    without_positions,
)
from llamacy.architectures.parts import Parts, Value
from llamacy.config import LayerConfig, ModelConfig

__all__ = ["forward", "layers", "tensors"]


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file; those of experts have positions in windows."""
    return tuple(map(_positioned, layers_with(config, experts=with_shared)))


def _positioned(layer: LayerConfig) -> LayerConfig:
    if layer.feed_forward.experts is None or layer.attention.window is not None:
        return layer
    return without_positions(layer)


def forward(model: Parts) -> Value:
    """Add what both parts make of the same norm, and scale the logits."""
    ops, x = model.ops, model.embed()
    for block in model.layers():
        h = block.norm(x, "attn_norm")
        x = ops.add(x, attention(block, h))
        y, experts = feed_forward(block, h), block.config.feed_forward.experts
        is_mean = experts is not None and experts.n_ff_shared > 0
        x = ops.add(x, ops.scale(y, 0.5) if is_mean else y)
    return ops.scale(model.logits(x), model.config.logit_scale)
