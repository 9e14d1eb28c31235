"""LFM2 and LFM2.5: short convolutions, and attention in some of the layers.

Liquid AI 2025 (arXiv:2511.23404). Layers without heads of keys and values convolve the
last three tokens, between two gates that depend on the input; the others norm each
head's queries and keys.
"""

from __future__ import annotations

from llamacy.architectures.attention import (
    attention,
    attention_tensors,
    head_norm_tensors,
)
from llamacy.architectures.feed_forward import feed_forward, feed_forward_tensors
from llamacy.architectures.layers import Layers, as_declared, layers_with
from llamacy.architectures.parts import Block, Parts, Value
from llamacy.architectures.short_conv import short_conv, short_conv_tensors
from llamacy.architectures.tensors import Specs, TensorSpec, norm_tensors, optional
from llamacy.config import AttentionConfig, LayerConfig, ModelConfig


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with its experts if there are any."""
    return layers_with(config, is_neox=True, experts=as_declared)


def outside(config: ModelConfig) -> Specs:
    """Return the specs of the last norm, which files call that of the embedding."""
    name = "output_norm.weight"
    return {
        name: optional(config.n_embd),
        "token_embd_norm.weight": TensorSpec((config.n_embd,), True, names=(name,)),
    }


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: two norms, a mixer, and a network."""
    return {
        **norm_tensors(config, "attn_norm", "ffn_norm"),
        **mixer_tensors(config, layer),
        **feed_forward_tensors(config, layer),
    }


def mixer_tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer's attention, or of its convolution."""
    if isinstance(layer.mixer, AttentionConfig):
        return attention_tensors(config, layer) | head_norm_tensors(layer)
    return short_conv_tensors(config, layer)


def forward(model: Parts) -> Value:
    """Add to each row what mixer and network make of its norm."""
    ops, x = model.ops, model.embed()
    for block in model.layers():
        x = ops.add(x, mix(block, block.norm(x, "attn_norm")))
        x = ops.add(x, feed_forward(block, block.norm(x, "ffn_norm")))
    return model.logits(x)


def mix(block: Block, x: Value) -> Value:
    """Attend, or convolve: (M, n_embd) to (M, n_embd)."""
    if isinstance(block.config.mixer, AttentionConfig):
        return attention(block, x)
    return short_conv(block, x)
