"""Granite 3 and 4, dense: LLaMA's layers, scaled.

IBM Granite Team 2024 (github.com/ibm-granite/granite-3.0-language-models). Constants of
the file multiply embeddings, scores, logits and what each part adds to the residual:
those of a parametrisation whose learning rates carry over from small models to large
ones (Yang et al. 2022, arXiv:2203.03466). There are files of models without positions.
"""

from __future__ import annotations

from collections.abc import Callable

from llamacy.architectures.attention import attention
from llamacy.architectures.feed_forward import feed_forward
from llamacy.architectures.layers import Layers, layers_with, without_positions
from llamacy.architectures.llama import tensors
from llamacy.architectures.parts import Block, Parts, Value
from llamacy.config import ModelConfig

__all__ = ["forward", "layers", "tensors"]


def layers(config: ModelConfig) -> Layers:
    """Return the layers, without positions if the model was trained without."""
    layers = layers_with(config)
    if config.rope.is_finetuned:
        return layers
    return tuple(map(without_positions, layers))


def forward(model: Parts) -> Value:
    """Scale the embeddings, what each part adds, and the logits."""
    return scaled(model, attention)


def scaled(model: Parts, mix: Callable[[Block, Value], Value]) -> Value:
    """Put Granite's layers together with any mixer, (M, n_embd) to (M, n_embd)."""
    ops, config = model.ops, model.config
    x = ops.scale(model.embed(), config.embedding_scale)
    for block in model.layers():
        h = mix(block, block.norm(x, "attn_norm"))
        x = ops.add(x, ops.scale(h, config.residual_scale))
        h = feed_forward(block, block.norm(x, "ffn_norm"))
        x = ops.add(x, ops.scale(h, config.residual_scale))
    return ops.scale(model.logits(x), 1 / config.logit_scale)
