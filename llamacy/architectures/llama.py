"""The LLaMA family: LLaMA 1-3, Mistral 7B, TinyLlama, SmolLM and their kin.

Touvron et al. 2023 (arXiv:2302.13971): pre-norm with RMS norms, rotary positions,
grouped-query attention (Ainslie et al. 2023, arXiv:2305.13245), SwiGLU. Biases
and the separate output matrix are optional. Where a file names a window, as the first
Mistral has it (Jiang et al. 2023, arXiv:2310.06825), all layers have it.
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
    optional_biases,
    rope_of,
    window_of,
)
from llamacy.architectures.weights import TensorSpec
from llamacy.config import ModelConfig
from llamacy.ops.vocabulary import Ops


def tensors(config: ModelConfig) -> dict[str, TensorSpec]:
    """Names and shapes of the tensors this family is made of."""
    matrices = attention_tensors(config) | feed_forward_tensors(config)
    norms = norm_tensors(config, "attn_norm", "ffn_norm")
    return model_tensors(config, norms | matrices | optional_biases(matrices))


def forward(ops: Ops[Any, Any], config: ModelConfig, weights: Mapping[str, Any]) -> Any:
    """Logits of the wanted rows: (n_wanted, n_vocab)."""
    rope = rope_of(config, weights)
    x = ops.embedding(weights["token_embd.weight"])  # (M, n_embd)
    for layer in range(config.n_layer):
        block = Block(ops, config, weights, layer)
        h = block.norm(x, "attn_norm")
        window = window_of(config, layer, period=0)
        x = ops.add(x, block.attention(h, rope, window=window))
        h = block.norm(x, "ffn_norm")
        x = ops.add(x, block.feed_forward(h))
    return logits(ops, config, weights, x)
