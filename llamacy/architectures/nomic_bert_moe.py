"""Nomic BERT with experts: XLM-RoBERTa's layers, every second one with a mixture.

Nussbaum and Duderstadt 2025 (arXiv:2502.07972). Queries and keys are rotated, and
networks have no gate. An expert is as wide as a network of the other layers, and the
weights of a token's experts are those of the softmax over all of them.
"""

from __future__ import annotations

from typing import Final

from llamacy.architectures.attention import attention, attention_tensors
from llamacy.architectures.bert import outside
from llamacy.architectures.feed_forward import feed_forward, feed_forward_tensors
from llamacy.architectures.layers import Layers, as_wide, layers_with
from llamacy.architectures.parts import Parts, Value
from llamacy.architectures.tensors import (
    Specs,
    layer_norm_tensors,
    optional,
    optional_biases,
)
from llamacy.config import LayerConfig, ModelConfig

__all__ = ["forward", "layers", "outside", "tensors"]

_OF_MIXTURE: Final = "ffn_token_types.weight"  # llamacy's own


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with GELU by erf."""
    return layers_with(config, is_neox=True, activation="gelu_erf", experts=as_wide)


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: BERT's, without biases of experts."""
    norms = layer_norm_tensors(config, "attn_output_norm", "layer_output_norm")
    of_attention = attention_tensors(config, layer)
    network = feed_forward_tensors(config, layer)
    specs = norms | of_attention | network | optional_biases(of_attention)
    if layer.feed_forward.experts is None:
        return specs | optional_biases(network)
    specs[_OF_MIXTURE] = optional(max(1, config.n_token_types), config.n_embd)
    return specs


def forward(model: Parts) -> Value:
    """Norm the sum of each row and what a part makes of it.

    A mixture may have a bias, which folders have and llama.cpp's files lack: rows for
    the types of tokens, all alike.
    """
    ops, x = model.ops, model.normed(model.embed(), "token_embd_norm")
    for block in model.layers():
        x = block.norm(ops.add(x, attention(block, x)), "attn_output_norm")
        y, bias = feed_forward(block, x), block.weight(_OF_MIXTURE)
        if bias is not None:
            y = ops.add(y, ops.type_embedding(bias))
        x = block.norm(ops.add(x, y), "layer_output_norm")
    return x
