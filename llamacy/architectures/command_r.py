"""Command R, Command R+ and Aya: parallel parts, layer norms without biases.

Cohere 2024 (huggingface.co/CohereLabs/c4ai-command-r-v01). Attention and the gated
network read the same norm, rotated pairs are neighbours, the output matrix is the
embedding, and a constant multiplies the logits. Command R+ norms each head's queries
and keys, with weights of the head's own.
"""

from __future__ import annotations

from llamacy.architectures.attention import (
    attention,
    attention_tensors,
    norm_tensors_by_head,
)
from llamacy.architectures.feed_forward import feed_forward, feed_forward_tensors
from llamacy.architectures.layers import Layers, layers_with
from llamacy.architectures.parts import Parts, Value
from llamacy.architectures.tensors import Specs, norm_tensors
from llamacy.config import LayerConfig, ModelConfig


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file."""
    return layers_with(config)


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: one norm, no biases, perhaps norms of heads."""
    return {
        **norm_tensors(config, "attn_norm"),
        **attention_tensors(config, layer),
        **norm_tensors_by_head(layer),
        **feed_forward_tensors(config, layer),
    }


def forward(model: Parts) -> Value:
    """Add what both parts make of the same norm, and scale the logits."""
    ops, x = model.ops, model.embed()
    for block in model.layers():
        h = block.norm(x, "attn_norm")
        size = block.config.attention.head_dim
        x = ops.add(x, attention(block, h, norm_size=size))
        x = ops.add(x, feed_forward(block, h))
    return ops.scale(model.logits(x), model.config.logit_scale)
