"""Falcon 7B, 11B and 40B: parallel parts without biases, and few heads of keys.

Almazrouei et al. 2023 (arXiv:2311.16867). In Falcon 40B attention has a norm of its
own, `attn_norm_2`; in the others both parts read the same.
"""

from __future__ import annotations

from llamacy.architectures.attention import attention, attention_tensors
from llamacy.architectures.feed_forward import feed_forward, feed_forward_tensors
from llamacy.architectures.gptneox import layers
from llamacy.architectures.parts import Parts, Value
from llamacy.architectures.starcoder2 import outside
from llamacy.architectures.tensors import Specs, all_optional, layer_norm_tensors
from llamacy.config import LayerConfig, ModelConfig

__all__ = ["forward", "layers", "outside", "tensors"]


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: one norm or two, and matrices without biases."""
    return {
        **layer_norm_tensors(config, "attn_norm"),
        **all_optional(layer_norm_tensors(config, "attn_norm_2")),
        **attention_tensors(config, layer),
        **feed_forward_tensors(config, layer),
    }


def forward(model: Parts) -> Value:
    """Add to each row what both parts make of its norms."""
    ops, x = model.ops, model.embed()
    for block in model.layers():
        h = block.norm(x, "attn_norm")
        has_two = block.weight("attn_norm_2.weight") is not None
        attended = block.norm(x, "attn_norm_2") if has_two else h
        x = ops.add(x, attention(block, attended))
        x = ops.add(x, feed_forward(block, h))
    return model.logits(x)
