"""BERT: an encoder, whose rows see all of their text; norms come after the parts.

Devlin et al. 2018 (arXiv:1810.04805). Embeddings of tokens, positions and token types
are added, and normed. RoBERTa (Liu et al. 2019, arXiv:1907.11692), XLM-RoBERTa and
DistilBERT, which knows no token types, are the same. llama.cpp computes its GELU with
tanh; this is the one with erf, as the models were trained with.
"""

from __future__ import annotations

from typing import cast

from llamacy.architectures.attention import attention, attention_tensors
from llamacy.architectures.feed_forward import feed_forward, feed_forward_tensors
from llamacy.architectures.layers import Layers, layers_with
from llamacy.architectures.parts import Parts, Value
from llamacy.architectures.tensors import (
    Specs,
    layer_norm_tensors,
    optional_biases,
    required,
)
from llamacy.config import Activation, LayerConfig, ModelConfig


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with the activation that it names."""
    return layers_with(config, activation=cast(Activation, config.hidden_activation))


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: two norms, and matrices that may have biases."""
    matrices = attention_tensors(config, layer) | feed_forward_tensors(config, layer)
    norms = layer_norm_tensors(config, "attn_output_norm", "layer_output_norm")
    return norms | matrices | optional_biases(matrices)


def outside(config: ModelConfig) -> Specs:
    """Return the specs of the positions, if they are learned, and of the first norm."""
    specs = layer_norm_tensors(config, "token_embd_norm")
    if config.has_learned_positions:
        specs["position_embd.weight"] = required(config.n_ctx_train, config.n_embd)
    return specs


def forward(model: Parts) -> Value:
    """Norm the sum of each row and what a part makes of it."""
    ops, x = model.ops, model.normed(model.embed(), "token_embd_norm")
    for block in model.layers():
        x = block.norm(ops.add(x, attention(block, x)), "attn_output_norm")
        x = block.norm(ops.add(x, feed_forward(block, x)), "layer_output_norm")
    return x
