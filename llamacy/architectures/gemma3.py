"""Gemma 3, text: Gemma 2's layers, with norms of queries and keys for caps of scores.

Gemma Team 2025 (arXiv:2503.19786). Of each six layers the first five attend to a window
of the last tokens and have rotations of their own, of a lower base and not scaled.
"""

from __future__ import annotations

import math
from typing import Final

from llamacy.architectures import gemma2
from llamacy.architectures.attention import attention, head_norm_tensors
from llamacy.architectures.feed_forward import feed_forward
from llamacy.architectures.layers import Layers, layers_with
from llamacy.architectures.parts import Parts, Value
from llamacy.architectures.tensors import Specs
from llamacy.config import LayerConfig, ModelConfig

_N_LAYER_27B: Final = 62


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with GEGLU."""
    scale = gemma2.query_scale(config, _N_LAYER_27B)
    return layers_with(config, is_neox=True, scale=scale, activation="geglu")


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: Gemma 2's, with norms of queries and keys."""
    return gemma2.tensors(config, layer) | head_norm_tensors(layer)


def forward(model: Parts) -> Value:
    """Norm what each part reads, and what it adds."""
    ops, cap = model.ops, model.config.logit_softcap
    x = ops.scale(model.embed(), math.sqrt(model.config.n_embd))
    for block in model.layers():
        h = attention(block, block.norm(x, "attn_norm"))
        x = ops.add(x, block.norm(h, "post_attention_norm"))
        h = feed_forward(block, block.norm(x, "ffn_norm"))
        x = ops.add(x, block.norm(h, "post_ffw_norm"))
    x = model.logits(x)
    return x if cap is None else ops.softcap(x, cap)
