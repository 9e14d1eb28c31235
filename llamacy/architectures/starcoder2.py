"""StarCoder 2: GPT-2's layers with rotations for learned positions.

Lozhkov et al. 2024 (arXiv:2402.19173), with grouped-query attention. If a file names a
window, all layers have it: transformers' rule, for which llama.cpp has no key.
"""

from __future__ import annotations

from llamacy.architectures.attention import attention_tensors
from llamacy.architectures.feed_forward import feed_forward_tensors
from llamacy.architectures.layers import Layers, layers_with
from llamacy.architectures.llama import forward
from llamacy.architectures.tensors import (
    Specs,
    layer_norm_tensors,
    optional_biases,
    required,
)
from llamacy.config import LayerConfig, ModelConfig

__all__ = ["forward", "layers", "outside", "tensors"]


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with GELU and pairs in the order of GPT-NeoX."""
    return layers_with(config, is_neox=True, activation="gelu")


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: GPT-2's, whose biases may be missing."""
    matrices = attention_tensors(config, layer) | feed_forward_tensors(config, layer)
    norms = layer_norm_tensors(config, "attn_norm", "ffn_norm")
    return norms | matrices | optional_biases(matrices)


def outside(config: ModelConfig) -> Specs:
    """Return the spec of the bias of the last norm."""
    return {"output_norm.bias": required(config.n_embd)}
