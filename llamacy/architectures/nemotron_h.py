"""Nemotron-H: layers of one part each, most of which scan as Mamba-2 does.

NVIDIA 2025 (arXiv:2504.03624). The others attend, without positions, or are a network
with a squared ReLU and without a gate. Each part has a norm before it.
"""

from __future__ import annotations

from llamacy.architectures.attention import attention, attention_tensors
from llamacy.architectures.feed_forward import feed_forward, feed_forward_tensors
from llamacy.architectures.layers import (
    ExpertRule,
    Layers,
    layers_with,
    without_positions,
)
from llamacy.architectures.parts import Block, Parts, Value
from llamacy.architectures.scan import scan, scan_tensors
from llamacy.architectures.tensors import Specs, norm_tensors, optional_biases
from llamacy.config import AttentionConfig, LayerConfig, ModelConfig


def layers(config: ModelConfig, experts: ExpertRule | None = None) -> Layers:
    """Return the layers of the file, none of which has positions.

    `experts` makes those of a family that has some.
    """
    layers = layers_with(config, activation="relu_squared", experts=experts)
    return tuple(map(without_positions, layers))


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: a norm, and one part."""
    return norm_tensors(config, "attn_norm") | part_tensors(config, layer)


def part_tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer's scan, its attention, or its network."""
    if layer.mixer is None:
        matrices = feed_forward_tensors(config, layer)
    elif isinstance(layer.mixer, AttentionConfig):
        matrices = attention_tensors(config, layer)
    else:
        return scan_tensors(config, layer)
    return matrices | optional_biases(matrices)


def forward(model: Parts) -> Value:
    """Add to each row what one part after the other makes of its norm."""
    ops, x = model.ops, model.embed()
    for block in model.layers():
        x = ops.add(x, apply(block, block.norm(x, "attn_norm")))
    return model.logits(x)


def apply(block: Block, x: Value) -> Value:
    """Apply a layer's part: (M, n_embd) to (M, n_embd)."""
    if block.config.mixer is None:
        return feed_forward(block, x)
    if isinstance(block.config.mixer, AttentionConfig):
        return attention(block, x)
    return scan(block, x)
