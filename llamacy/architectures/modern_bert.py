"""ModernBERT: an encoder with norms before the parts, and windows in most layers.

Warner et al. 2024 (arXiv:2412.13663). Every third layer, the first one first, sees all
of a text; rows of the others see half a window before them and half a window after, and
are rotated by frequencies of another base. The embeddings are normed, which stands for
the first layer's norm. Networks have gates. llama.cpp computes their GELU, and that of
classifiers, with tanh; here it is the one with erf, as the models were trained with.
"""

from __future__ import annotations

from typing import cast

from llamacy.architectures.attention import attention, attention_tensors
from llamacy.architectures.feed_forward import feed_forward, feed_forward_tensors
from llamacy.architectures.layers import Layers, layers_with
from llamacy.architectures.parts import Parts, Value
from llamacy.architectures.tensors import (
    Specs,
    norm_tensors,
    optional,
    optional_biases,
)
from llamacy.config import Activation, LayerConfig, ModelConfig


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with the activation that it names."""
    activation = cast(Activation, config.hidden_activation)
    return layers_with(config, is_neox=True, activation=activation)


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: two norms, and matrices; all may have biases."""
    matrices = attention_tensors(config, layer) | feed_forward_tensors(config, layer)
    specs = norm_tensors(config, "attn_norm", "ffn_norm") | matrices
    return specs | optional_biases(specs)


def outside(config: ModelConfig) -> Specs:
    """Return the specs of the norms outside the layers, and of the first layer's."""
    norms = norm_tensors(config, "token_embd_norm", "output_norm")
    first = {"blk.0.attn_norm.weight": optional(config.n_embd)}
    return norms | optional_biases(norms) | first


def forward(model: Parts) -> Value:
    """Add to each row what the parts make of its norms; norm the result."""
    ops, x = model.ops, model.normed(model.embed(), "token_embd_norm")
    for block in model.layers():
        is_normed = block.weight("attn_norm.weight") is not None
        h = block.norm(x, "attn_norm") if is_normed else x
        x = ops.add(x, attention(block, h))
        x = ops.add(x, feed_forward(block, block.norm(x, "ffn_norm")))
    return model.normed(x, "output_norm")
