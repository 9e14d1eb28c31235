"""Granite 3 and 4, dense: LLaMA's layers, scaled.

IBM Granite Team 2024 (github.com/ibm-granite/granite-3.0-language-models). Embeddings,
what each part adds to the residual, scores and logits are multiplied with constants of
the file: those of a parametrisation whose learning rates carry over from small models
to large ones (Yang et al. 2022, arXiv:2203.03466).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llamacy.architectures.llama import tensors
from llamacy.architectures.transformer import Block, logits, rope_of
from llamacy.config import ModelConfig
from llamacy.ops.vocabulary import Ops

__all__ = ["forward", "tensors"]


def forward(ops: Ops[Any, Any], config: ModelConfig, weights: Mapping[str, Any]) -> Any:
    """Logits of the wanted rows: (n_wanted, n_vocab)."""
    rope = rope_of(config, weights) if config.rope.is_finetuned else None
    x = ops.embedding(weights["token_embd.weight"])  # (M, n_embd)
    x = ops.scale(x, config.embedding_scale)
    for layer in range(config.n_layer):
        block = Block(ops, config, weights, layer)
        h = block.attention(block.norm(x, "attn_norm"), rope)
        x = ops.add(x, ops.scale(h, config.residual_scale))
        h = block.feed_forward(block.norm(x, "ffn_norm"))
        x = ops.add(x, ops.scale(h, config.residual_scale))
    return ops.scale(logits(ops, config, weights, x), 1 / config.logit_scale)
