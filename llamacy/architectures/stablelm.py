"""StableLM 3B and StableLM 2: LLaMA's layers with layer norms.

Bellagente et al. 2024 (arXiv:2402.17834). Of each head a quarter of the dimensions is
rotated. StableLM 2 12B has one norm for both parts, which are parallel then, and norms
of each head's queries and keys, with weights of the head's own.
"""

from __future__ import annotations

from llamacy.architectures.attention import (
    attention,
    attention_tensors,
    norm_tensors_by_head,
)
from llamacy.architectures.feed_forward import feed_forward, feed_forward_tensors
from llamacy.architectures.parts import Parts, Value
from llamacy.architectures.qwen2 import layers
from llamacy.architectures.starcoder2 import outside
from llamacy.architectures.tensors import Specs, all_optional, layer_norm_tensors
from llamacy.config import LayerConfig, ModelConfig

__all__ = ["forward", "layers", "outside", "tensors"]


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: biases of queries, keys and values may be there."""
    return {
        **layer_norm_tensors(config, "attn_norm"),
        **attention_tensors(config, layer),
        **norm_tensors_by_head(layer),
        **all_optional(layer_norm_tensors(config, "ffn_norm")),
        **feed_forward_tensors(config, layer),
    }


def forward(model: Parts) -> Value:
    """Add attention, then the network, which norms the sum unless they are parallel."""
    ops, x = model.ops, model.embed()
    for block in model.layers():
        h = block.norm(x, "attn_norm")
        size = block.config.attention.head_dim
        x = ops.add(x, attention(block, h, norm_size=size))
        if block.weight("ffn_norm.weight") is not None:
            h = block.norm(x, "ffn_norm")
        x = ops.add(x, feed_forward(block, h))
    return model.logits(x)
