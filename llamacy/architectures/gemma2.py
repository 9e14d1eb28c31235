"""Gemma 2: norms before and after each part of a layer, capped scores and logits.

Gemma Team 2024 (arXiv:2408.00118). Every other layer, from the first on, attends to a
window of the last tokens. The output matrix is the embedding, whose rows are multiplied
by the root of n_embd as they come in; the weights of norms hold the 1 that the paper
adds.
"""

from __future__ import annotations

import math
from typing import Final

from llamacy.architectures.attention import attention, attention_tensors
from llamacy.architectures.feed_forward import feed_forward, feed_forward_tensors
from llamacy.architectures.layers import Layers, layers_with
from llamacy.architectures.parts import Parts, Value
from llamacy.architectures.tensors import Specs, norm_tensors
from llamacy.config import LayerConfig, ModelConfig

NORMS: Final = ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm")
_N_LAYER_27B: Final = 46
_ATTENTION_CAP, _LOGIT_CAP = 50.0, 30.0  # llama.cpp's, where a file does not say


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with capped scores and GEGLU."""
    return layers_with(
        config,
        is_neox=True,
        scale=query_scale(config, _N_LAYER_27B),
        softcap=config.attention_softcap or _ATTENTION_CAP,
        activation="geglu",
    )


def query_scale(config: ModelConfig, n_layer_27b: int) -> float | None:
    """Return what multiplies scores in models of 27 billion weights; None for others.

    Files do not hold it, and these models are known by the number of their layers.
    """
    if config.n_layer == n_layer_27b:
        return math.sqrt(config.n_head / config.n_embd)
    return None


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: LLaMA's, with norms after each part."""
    return {
        **norm_tensors(config, *NORMS),
        **attention_tensors(config, layer),
        **feed_forward_tensors(config, layer),
    }


def forward(model: Parts) -> Value:
    """Norm what each part reads, and what it adds; bound the logits."""
    ops, config = model.ops, model.config
    x = ops.scale(model.embed(), math.sqrt(config.n_embd))
    for block in model.layers():
        h = attention(block, block.norm(x, "attn_norm"))
        x = ops.add(x, block.norm(h, "post_attention_norm"))
        h = feed_forward(block, block.norm(x, "ffn_norm"))
        x = ops.add(x, block.norm(h, "post_ffw_norm"))
    return ops.softcap(model.logits(x), config.logit_softcap or _LOGIT_CAP)
