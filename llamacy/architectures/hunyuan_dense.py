"""Hunyuan, dense: Qwen 3's layers, whose queries and keys are normed after rotation.

Tencent 2025 (huggingface.co/tencent/Hunyuan-7B-Instruct). The base of the frequencies
is scaled once for all lengths of texts, and files hold the scaled one.
"""

from __future__ import annotations

from llamacy.architectures.attention import (
    attention,
    attention_tensors,
    head_norm_tensors,
)
from llamacy.architectures.feed_forward import feed_forward, feed_forward_tensors
from llamacy.architectures.parts import Parts, Value
from llamacy.architectures.qwen2 import layers
from llamacy.architectures.tensors import Specs, norm_tensors, optional_biases
from llamacy.config import LayerConfig, ModelConfig

__all__ = ["forward", "layers", "tensors"]


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: Qwen 3's, with matrices that may have biases."""
    matrices = attention_tensors(config, layer)
    return {
        **norm_tensors(config, "attn_norm", "ffn_norm"),
        **matrices,
        **optional_biases(matrices),
        **head_norm_tensors(layer),
        **feed_forward_tensors(config, layer),
    }


def forward(model: Parts) -> Value:
    """Add to each row what attention and network make of its norm."""
    ops, x = model.ops, model.embed()
    for block in model.layers():
        h = block.norm(x, "attn_norm")
        x = ops.add(x, attention(block, h, is_rotated_first=True))
        x = ops.add(x, feed_forward(block, block.norm(x, "ffn_norm")))
    return model.logits(x)
