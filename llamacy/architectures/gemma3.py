"""Gemma 3, text: Gemma 2's layers, with norms of queries and keys for caps of scores.

Gemma Team 2025 (arXiv:2503.19786). Of each six layers the first five attend to a window
of the last tokens and have rotations of their own, of a lower base and not scaled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from llamacy.architectures import gemma2
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
from llamacy.architectures.weights import TensorSpec, required
from llamacy.config import ModelConfig, RopeConfig
from llamacy.ops.rope import Rope
from llamacy.ops.vocabulary import Ops

_N_LAYER_27B: Final = 62
_LOCAL_FREQ_BASE: Final = 10000.0  # files do not hold it


def tensors(config: ModelConfig) -> dict[str, TensorSpec]:
    """Names and shapes of the tensors this family is made of."""
    return model_tensors(
        config,
        {
            **norm_tensors(config, *gemma2.NORMS),
            **attention_tensors(config),
            "attn_q_norm.weight": required(config.head_dim),
            "attn_k_norm.weight": required(config.head_dim),
            **feed_forward_tensors(config),
        },
    )


def forward(ops: Ops[Any, Any], config: ModelConfig, weights: Mapping[str, Any]) -> Any:
    """Logits of the wanted rows: (n_wanted, n_vocab)."""
    global_rope, local_rope = rope_of(config, weights, is_neox=True), _local(config)
    x = ops.embedding(weights["token_embd.weight"])  # (M, n_embd)
    x = ops.scale(x, math.sqrt(config.n_embd))
    for layer in range(config.n_layer):
        block = Block(ops, config, weights, layer)
        window = window_of(config, layer, period=6)
        h = block.attention(
            block.norm(x, "attn_norm"),
            global_rope if window is None else local_rope,
            scale=gemma2.query_scale(config, _N_LAYER_27B),
            window=window,
        )
        x = ops.add(x, block.norm(h, "post_attention_norm"))
        h = block.gelu_feed_forward(block.norm(x, "ffn_norm"))
        x = ops.add(x, block.norm(h, "post_ffw_norm"))
    x = logits(ops, config, weights, x)
    return x if config.logit_softcap is None else ops.softcap(x, config.logit_softcap)


def _local(config: ModelConfig) -> Rope:
    base = config.rope.local_freq_base or _LOCAL_FREQ_BASE
    plain = RopeConfig(n_dims=config.rope.n_dims, freq_base=base)
    return Rope.from_config(plain, config.head_dim, is_neox=True)
