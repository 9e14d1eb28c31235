"""Nomic BERT with experts: XLM-RoBERTa's layers, every second one with a mixture.

Nussbaum and Duderstadt 2025 (arXiv:2502.07972). Queries and keys are rotated, and
networks have no gate. An expert is as wide as a network of the other layers, and the
weights of a token's experts are those of the softmax over all of them.
"""

from __future__ import annotations

from llamacy.architectures.attention import attention_tensors
from llamacy.architectures.bert import forward, outside
from llamacy.architectures.feed_forward import feed_forward_tensors
from llamacy.architectures.layers import Layers, as_wide, layers_with
from llamacy.architectures.tensors import Specs, layer_norm_tensors, optional_biases
from llamacy.config import LayerConfig, ModelConfig

__all__ = ["forward", "layers", "outside", "tensors"]


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with GELU by erf."""
    return layers_with(config, is_neox=True, activation="gelu_erf", experts=as_wide)


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: BERT's, without biases in a mixture."""
    norms = layer_norm_tensors(config, "attn_output_norm", "layer_output_norm")
    of_attention = attention_tensors(config, layer)
    network = feed_forward_tensors(config, layer)
    biased = of_attention
    if layer.feed_forward.experts is None:
        biased = of_attention | network
    return norms | of_attention | network | optional_biases(biased)
