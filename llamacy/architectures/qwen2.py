"""Qwen2 and Qwen2.5: LLaMA's layers with biases on queries, keys and values.

Qwen Team 2024 (arXiv:2407.10671). Rotated pairs are half a head apart.
"""

from __future__ import annotations

from llamacy.architectures.attention import attention_tensors, attention_widths
from llamacy.architectures.feed_forward import feed_forward_tensors
from llamacy.architectures.layers import Layers, layers_with
from llamacy.architectures.llama import forward
from llamacy.architectures.tensors import Specs, norm_tensors, required
from llamacy.config import LayerConfig, ModelConfig

__all__ = ["forward", "layers", "tensors"]


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with pairs in the order of GPT-NeoX."""
    return layers_with(config, is_neox=True)


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: LLaMA's, with three biases."""
    n_q, n_k, n_v, _ = attention_widths(layer)
    return {
        **norm_tensors(config, "attn_norm", "ffn_norm"),
        **attention_tensors(config, layer),
        "attn_q.bias": required(n_q),
        "attn_k.bias": required(n_k),
        "attn_v.bias": required(n_v),
        **feed_forward_tensors(config, layer),
    }
