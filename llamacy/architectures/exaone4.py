"""EXAONE 4: OLMo 2's order of norms, with norms of each head's queries and keys.

LG AI Research 2025 (arXiv:2507.11407). Large models have windows in three of four
layers, and in the fourth no positions; small models have positions in all layers.
"""

from __future__ import annotations

from llamacy.architectures.attention import attention_tensors, head_norm_tensors
from llamacy.architectures.feed_forward import feed_forward_tensors
from llamacy.architectures.layers import Layers, layers_with, without_positions
from llamacy.architectures.olmo2 import forward
from llamacy.architectures.tensors import Specs, norm_tensors
from llamacy.config import LayerConfig, ModelConfig

__all__ = ["forward", "layers", "tensors"]


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with positions only in windows if there are any.

    llama.cpp knows the models with windows by their 64 layers, transformers by the
    window; models published have both or neither.
    """
    layers = layers_with(config, is_neox=True)
    if all(layer.attention.window is None for layer in layers):
        return layers
    return tuple(
        layer if layer.attention.window else without_positions(layer)
        for layer in layers
    )


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: two norms, both after the parts."""
    return {
        **norm_tensors(config, "post_attention_norm", "post_ffw_norm"),
        **attention_tensors(config, layer),
        **head_norm_tensors(layer),
        **feed_forward_tensors(config, layer),
    }
