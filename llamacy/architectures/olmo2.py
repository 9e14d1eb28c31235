"""OLMo 2 and OLMo 3: norms after each part of a layer, and of whole queries and keys.

OLMo Team 2024 (arXiv:2501.00656): no norms before attention and feed-forward network,
which read the residual as it is. In OLMo 3 three of four layers attend to a window of
the last tokens, and have rotations that are not scaled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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


def tensors(config: ModelConfig) -> dict[str, TensorSpec]:
    """Names and shapes of the tensors this family is made of."""
    return model_tensors(
        config,
        {
            **norm_tensors(config, "post_attention_norm", "post_ffw_norm"),
            **attention_tensors(config),
            "attn_q_norm.weight": required(config.n_head * config.head_dim),
            "attn_k_norm.weight": required(config.n_head_kv * config.head_dim),
            **feed_forward_tensors(config),
        },
    )


def forward(ops: Ops[Any, Any], config: ModelConfig, weights: Mapping[str, Any]) -> Any:
    """Logits of the wanted rows: (n_wanted, n_vocab)."""
    global_rope, local_rope = rope_of(config, weights, is_neox=True), _local(config)
    x = ops.embedding(weights["token_embd.weight"])  # (M, n_embd)
    for layer in range(config.n_layer):
        block = Block(ops, config, weights, layer)
        window = window_of(config, layer, period=4)
        rope = global_rope if window is None else local_rope
        h = block.attention(x, rope, window=window)
        x = ops.add(x, block.norm(h, "post_attention_norm"))
        x = ops.add(x, block.norm(block.feed_forward(x), "post_ffw_norm"))
    return logits(ops, config, weights, x)


def _local(config: ModelConfig) -> Rope:
    base = config.rope.local_freq_base or config.rope.freq_base
    plain = RopeConfig(n_dims=config.rope.n_dims, freq_base=base)
    return Rope.from_config(plain, config.head_dim, is_neox=True)
