"""Qwen3, dense: Qwen2's layers with norms of each head's queries and keys for biases.

Qwen Team 2025 (arXiv:2505.09388). The forward pass is LLaMA's, whose attention norms
queries and keys where there are norms for them.
"""

from __future__ import annotations

from llamacy.architectures.attention import attention_tensors, head_norm_tensors
from llamacy.architectures.feed_forward import feed_forward_tensors
from llamacy.architectures.qwen2 import forward, layers
from llamacy.architectures.tensors import Specs, norm_tensors
from llamacy.config import LayerConfig, ModelConfig

__all__ = ["forward", "layers", "tensors"]


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: LLaMA's, with norms of queries and keys."""
    return {
        **norm_tensors(config, "attn_norm", "ffn_norm"),
        **attention_tensors(config, layer),
        **head_norm_tensors(layer),
        **feed_forward_tensors(config, layer),
    }
