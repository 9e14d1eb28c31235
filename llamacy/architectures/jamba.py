"""Jamba: layers that scan as Mamba does, a few that attend, and experts in some.

Lieber et al. 2024 (arXiv:2403.19887). Nothing has positions. Steps of a scan, and what
writes and reads, are normed. Experts weigh their shares of the softmax over all.
"""

from __future__ import annotations

from llamacy.architectures.attention import attention, attention_tensors
from llamacy.architectures.feed_forward import feed_forward, feed_forward_tensors
from llamacy.architectures.layers import (
    Layers,
    as_wide,
    layers_with,
    without_positions,
)
from llamacy.architectures.parts import Block, Parts, Value
from llamacy.architectures.selective_scan import selective_scan, selective_scan_tensors
from llamacy.architectures.tensors import Specs, norm_tensors
from llamacy.config import AttentionConfig, LayerConfig, ModelConfig


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, none of which has positions."""
    return tuple(map(without_positions, layers_with(config, experts=as_wide)))


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: two norms, a mixer, and a network or experts."""
    return {
        **norm_tensors(config, "attn_norm", "ffn_norm"),
        **mixer_tensors(config, layer),
        **feed_forward_tensors(config, layer),
    }


def mixer_tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer's attention, or of its scan."""
    if isinstance(layer.mixer, AttentionConfig):
        return attention_tensors(config, layer)
    return selective_scan_tensors(config, layer, has_norms=True)


def forward(model: Parts) -> Value:
    """Add to each row what a mixer and a network make of its norm."""
    ops, x = model.ops, model.embed()
    for block in model.layers():
        x = ops.add(x, mix(block, block.norm(x, "attn_norm")))
        x = ops.add(x, feed_forward(block, block.norm(x, "ffn_norm")))
    return model.logits(x)


def mix(block: Block, x: Value) -> Value:
    """Attend, or scan: (M, n_embd) to (M, n_embd)."""
    if isinstance(block.config.mixer, AttentionConfig):
        return attention(block, x)
    return selective_scan(block, x)
