"""LFM3: LFM2's layers, with windows, a gate for each head, and norms after parts.

Liquid AI 2026 (huggingface.co/LiquidAI): layers with a window have rotations of their
own, and those without rotate a part of each head. Gates and the norms after mixer and
network are in the models that have their tensors.
"""

from __future__ import annotations

from llamacy.architectures.attention import (
    attention,
    attention_tensors,
    head_norm_tensors,
)
from llamacy.architectures.feed_forward import feed_forward, feed_forward_tensors
from llamacy.architectures.layers import Layers, layers_with
from llamacy.architectures.parts import Block, Parts, Value
from llamacy.architectures.short_conv import short_conv, short_conv_tensors
from llamacy.architectures.tensors import (
    Specs,
    all_optional,
    norm_tensors,
    optional,
    optional_biases,
)
from llamacy.config import AttentionConfig, LayerConfig, ModelConfig

_AFTER = ("post_attention_norm", "post_ffw_norm")


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file."""
    return layers_with(config, is_neox=True)


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: up to four norms, a mixer, and a network."""
    return {
        **norm_tensors(config, "attn_norm", "ffn_norm"),
        **all_optional(norm_tensors(config, *_AFTER)),
        **_mixer_tensors(config, layer),
        **feed_forward_tensors(config, layer),
    }


def _mixer_tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    if not isinstance(layer.mixer, AttentionConfig):
        return short_conv_tensors(config, layer)
    matrices = attention_tensors(config, layer)
    gate = {"attn_gate.weight": optional(layer.mixer.n_head, config.n_embd)}
    return matrices | optional_biases(matrices) | head_norm_tensors(layer) | gate


def forward(model: Parts) -> Value:
    """Add to each row the norms of what mixer and network make of its norm."""
    ops, x = model.ops, model.embed()
    for block in model.layers():
        h = _mix(block, block.norm(x, "attn_norm"))
        x = ops.add(x, _normed(block, h, "post_attention_norm"))
        h = feed_forward(block, block.norm(x, "ffn_norm"))
        x = ops.add(x, _normed(block, h, "post_ffw_norm"))
    return model.logits(x)


def _mix(block: Block, x: Value) -> Value:
    """Convolve, or attend, with a gate of each head where the layer has one."""
    if not isinstance(block.config.mixer, AttentionConfig):
        return short_conv(block, x)
    if block.weight("attn_gate.weight") is None:
        return attention(block, x)
    gate = block.ops.sigmoid(block.linear(x, "attn_gate"))
    return attention(block, x, gate=gate)


def _normed(block: Block, x: Value, name: str) -> Value:
    """Norm rows where the layer has the norm."""
    has_norm = block.weight(f"{name}.weight") is not None
    return block.norm(x, name) if has_norm else x
