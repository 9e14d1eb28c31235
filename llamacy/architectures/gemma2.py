"""Gemma 2: norms before and after each part of a layer, capped scores and logits.

Gemma Team 2024 (arXiv:2408.00118). Every other layer, from the first on, attends to a
window of the last tokens. The output matrix is the embedding, whose rows come in
multiplied with the root of n_embd; the norms' weights hold the 1 that the paper adds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from llamacy.architectures.transformer import (
    Block,
    attention_tensors,
    feed_forward_tensors,
    logits,
    model_tensors,
    norm_tensors,
    rope_of,
    window_of,
)
from llamacy.architectures.weights import TensorSpec
from llamacy.config import ModelConfig
from llamacy.ops.vocabulary import Ops

NORMS: Final = ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm")
_N_LAYER_27B: Final = 46
# what llama.cpp takes where a file does not say
_WINDOW, _ATTENTION_CAP, _LOGIT_CAP = 4096, 50.0, 30.0


def tensors(config: ModelConfig) -> dict[str, TensorSpec]:
    """Names and shapes of the tensors this family is made of."""
    return model_tensors(
        config,
        {
            **norm_tensors(config, *NORMS),
            **attention_tensors(config),
            **feed_forward_tensors(config),
        },
    )


def forward(ops: Ops[Any, Any], config: ModelConfig, weights: Mapping[str, Any]) -> Any:
    """Logits of the wanted rows: (n_wanted, n_vocab)."""
    rope = rope_of(config, weights, is_neox=True)
    x = ops.embedding(weights["token_embd.weight"])  # (M, n_embd)
    x = ops.scale(x, math.sqrt(config.n_embd))
    for layer in range(config.n_layer):
        block = Block(ops, config, weights, layer)
        h = block.attention(
            block.norm(x, "attn_norm"),
            rope,
            scale=query_scale(config, _N_LAYER_27B),
            window=window_of(config, layer, period=2, default=_WINDOW),
            softcap=config.attention_softcap or _ATTENTION_CAP,
        )
        x = ops.add(x, block.norm(h, "post_attention_norm"))
        h = block.gelu_feed_forward(block.norm(x, "ffn_norm"))
        x = ops.add(x, block.norm(h, "post_ffw_norm"))
    x = logits(ops, config, weights, x)
    return ops.softcap(x, config.logit_softcap or _LOGIT_CAP)


def query_scale(config: ModelConfig, n_layer_27b: int) -> float:
    """Find what scores are multiplied with, which files do not hold.

    It is one over the root of a head's dimensions, but in the models of 27 billion
    weights of n_embd / n_head, known by their layers.
    """
    if config.n_layer == n_layer_27b:
        return math.sqrt(config.n_head / config.n_embd)
    return 1 / math.sqrt(config.head_dim)
