"""Gemma: LLaMA's layers with GEGLU and scaled embeddings.

Gemma Team 2024 (arXiv:2403.08295). The output matrix is the embedding, whose rows are
multiplied by the root of n_embd as they come in; the weights of norms hold the 1 that
the paper adds.
"""

from __future__ import annotations

import math

from llamacy.architectures.attention import attention, attention_tensors
from llamacy.architectures.feed_forward import feed_forward, feed_forward_tensors
from llamacy.architectures.layers import Layers, layers_with
from llamacy.architectures.parts import Parts, Value
from llamacy.architectures.tensors import Specs, norm_tensors
from llamacy.config import LayerConfig, ModelConfig


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with GEGLU."""
    return layers_with(config, is_neox=True, activation="geglu")


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: LLaMA's, without biases."""
    return {
        **norm_tensors(config, "attn_norm", "ffn_norm"),
        **attention_tensors(config, layer),
        **feed_forward_tensors(config, layer),
    }


def forward(model: Parts) -> Value:
    """Scale the embeddings, and add as LLaMA does."""
    ops = model.ops
    x = ops.scale(model.embed(), math.sqrt(model.config.n_embd))
    for block in model.layers():
        x = ops.add(x, attention(block, block.norm(x, "attn_norm")))
        x = ops.add(x, feed_forward(block, block.norm(x, "ffn_norm")))
    return model.logits(x)
