"""GLM 4 (0414), without the part for images: Gemma 2's order of norms.

GLM Team 2024 (arXiv:2406.12793). Of each head half of the dimensions is rotated.
Pairs are neighbours, but half of the rotated dimensions apart in files of models that
have a part for images.
"""

from __future__ import annotations

from llamacy.architectures.attention import attention
from llamacy.architectures.feed_forward import feed_forward
from llamacy.architectures.gemma2 import tensors
from llamacy.architectures.layers import Layers, layers_with
from llamacy.architectures.parts import Parts, Value
from llamacy.config import ModelConfig

__all__ = ["forward", "layers", "tensors"]


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with pairs in its order."""
    return layers_with(config, is_neox=config.rope.has_sections)


def forward(model: Parts) -> Value:
    """Norm what each part reads, and what it adds."""
    ops, x = model.ops, model.embed()
    for block in model.layers():
        h = attention(block, block.norm(x, "attn_norm"))
        x = ops.add(x, block.norm(h, "post_attention_norm"))
        h = feed_forward(block, block.norm(x, "ffn_norm"))
        x = ops.add(x, block.norm(h, "post_ffw_norm"))
    return model.logits(x)
