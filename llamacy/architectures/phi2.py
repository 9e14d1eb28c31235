"""Phi-1, Phi-1.5 and Phi-2: one norm for attention and network, which are parallel.

Gunasekar et al. 2023 (arXiv:2306.11644). All matrices have biases, the output's too. Of
each head only some dimensions are rotated.
"""

from __future__ import annotations

from llamacy.architectures.attention import attention, attention_tensors
from llamacy.architectures.feed_forward import feed_forward, feed_forward_tensors
from llamacy.architectures.parts import Parts, Value
from llamacy.architectures.starcoder2 import layers
from llamacy.architectures.tensors import (
    Specs,
    layer_norm_tensors,
    required,
    required_biases,
)
from llamacy.config import LayerConfig, ModelConfig

__all__ = ["forward", "layers", "outside", "tensors"]


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: one norm, and matrices, all with biases."""
    matrices = attention_tensors(config, layer) | feed_forward_tensors(config, layer)
    norm = layer_norm_tensors(config, "attn_norm")
    return norm | matrices | required_biases(matrices)


def outside(config: ModelConfig) -> Specs:
    """Return the specs of the biases of the last norm and the output matrix."""
    return {
        "output_norm.bias": required(config.n_embd),
        "output.bias": required(config.n_vocab),
    }


def forward(model: Parts) -> Value:
    """Add to each row what attention and network make of the same norm."""
    ops, x = model.ops, model.embed()
    for block in model.layers():
        h = block.norm(x, "attn_norm")
        x = ops.add(x, attention(block, h))
        x = ops.add(x, feed_forward(block, h))
    return model.logits(x)
