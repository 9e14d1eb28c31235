"""Seed-OSS: Qwen 2's layers, with heads wider than their share of the residual.

ByteDance Seed 2025 (huggingface.co/ByteDance-Seed/Seed-OSS-36B-Instruct). In its files
the norm before the feed-forward network is named after the attention before it.
"""

from __future__ import annotations

from llamacy.architectures.attention import attention_tensors
from llamacy.architectures.feed_forward import feed_forward_tensors
from llamacy.architectures.gpt_oss import forward
from llamacy.architectures.qwen2 import layers
from llamacy.architectures.tensors import Specs, norm_tensors, optional_biases
from llamacy.config import LayerConfig, ModelConfig

__all__ = ["forward", "layers", "tensors"]


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: matrices that may have biases."""
    matrices = attention_tensors(config, layer) | feed_forward_tensors(config, layer)
    norms = norm_tensors(config, "attn_norm", "post_attention_norm")
    return norms | matrices | optional_biases(matrices)
