"""SmolLM3: LLaMA's layers, of which every fourth has no positions.

Bakouch et al. 2025 (huggingface.co/blog/smollm3); without positions, Kazemnejad et al.
2023 (arXiv:2305.19466).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llamacy.architectures.llama import tensors
from llamacy.architectures.transformer import Block, logits, rope_of
from llamacy.config import ModelConfig
from llamacy.ops.vocabulary import Ops

__all__ = ["forward", "tensors"]

_PERIOD: Final = 4


def forward(ops: Ops[Any, Any], config: ModelConfig, weights: Mapping[str, Any]) -> Any:
    """Logits of the wanted rows: (n_wanted, n_vocab)."""
    rope = rope_of(config, weights)
    x = ops.embedding(weights["token_embd.weight"])  # (M, n_embd)
    for layer in range(config.n_layer):
        block = Block(ops, config, weights, layer)
        has_positions = (layer + 1) % _PERIOD != 0
        h = block.norm(x, "attn_norm")
        x = ops.add(x, block.attention(h, rope if has_positions else None))
        x = ops.add(x, block.feed_forward(block.norm(x, "ffn_norm")))
    return logits(ops, config, weights, x)
