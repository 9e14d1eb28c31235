"""Jina embeddings v2: BERT with gates in its networks, and distances for positions.

Günther et al. 2023 (arXiv:2310.19923). Scores fall with the distance of two tokens,
either way (ALiBi). The model for code norms queries and keys, each a whole row, and
norms what attention adds a second time.
"""

from __future__ import annotations

from llamacy.architectures.attention import attention, attention_tensors
from llamacy.architectures.feed_forward import feed_forward, feed_forward_tensors
from llamacy.architectures.layers import Layers, layers_with, without_positions
from llamacy.architectures.parts import Parts, Value
from llamacy.architectures.tensors import (
    Specs,
    all_optional,
    layer_norm_tensors,
    optional_biases,
)
from llamacy.config import LayerConfig, ModelConfig

__all__ = ["forward", "layers", "outside", "tensors"]


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with GEGLU by erf and nothing rotated."""
    return tuple(map(without_positions, layers_with(config, activation="geglu_erf")))


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: norms, some optional, and matrices with biases."""
    matrices = attention_tensors(config, layer) | feed_forward_tensors(config, layer)
    norms = layer_norm_tensors(config, "attn_output_norm", "layer_output_norm")
    of_code = layer_norm_tensors(config, "attn_q_norm", "attn_k_norm", "attn_norm_2")
    return norms | all_optional(of_code) | matrices | optional_biases(matrices)


def outside(config: ModelConfig) -> Specs:
    """Return the specs of the first norm."""
    return layer_norm_tensors(config, "token_embd_norm")


def forward(model: Parts) -> Value:
    """Norm the sum of each row and what a part makes of it, once or twice.

    The second time, the row is added again.
    """
    ops, x = model.ops, model.normed(model.embed(), "token_embd_norm")
    for block in model.layers():
        h = block.norm(ops.add(x, attention(block, x)), "attn_output_norm")
        if block.weight("attn_norm_2.weight") is not None:
            h = block.norm(ops.add(x, h), "attn_norm_2")
        x = block.norm(ops.add(h, feed_forward(block, h)), "layer_output_norm")
    return x
