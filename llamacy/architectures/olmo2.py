"""OLMo 2 and OLMo 3: norms after each part of a layer, and of whole queries and keys.

OLMo Team 2024 (arXiv:2501.00656): no norms before attention and feed-forward network,
which read the residual as it is. In OLMo 3 three of four layers attend to a window of
the last tokens, and have rotations that are not scaled.
"""

from __future__ import annotations

from llamacy.architectures.attention import (
    attention,
    attention_tensors,
    attention_widths,
)
from llamacy.architectures.feed_forward import feed_forward, feed_forward_tensors
from llamacy.architectures.parts import Parts, Value
from llamacy.architectures.qwen2 import layers
from llamacy.architectures.tensors import Specs, norm_tensors, required
from llamacy.config import LayerConfig, ModelConfig

__all__ = ["forward", "layers", "tensors"]


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: the norms' weights are as long as what they norm."""
    n_q, n_k, *_ = attention_widths(layer)
    return {
        **norm_tensors(config, "post_attention_norm", "post_ffw_norm"),
        **attention_tensors(config, layer),
        "attn_q_norm.weight": required(n_q),
        "attn_k_norm.weight": required(n_k),
        **feed_forward_tensors(config, layer),
    }


def forward(model: Parts) -> Value:
    """Add to each row the norm of what attention and network make of it."""
    ops, x = model.ops, model.embed()
    for block in model.layers():
        x = ops.add(x, block.norm(attention(block, x), "post_attention_norm"))
        x = ops.add(x, block.norm(feed_forward(block, x), "post_ffw_norm"))
    return model.logits(x)
