"""DeepSeek V2, V3 and R1, Kimi K2, GLM 4.7 Flash, Youtu: latent attention and experts.

DeepSeek-AI 2024 (arXiv:2405.04434, arXiv:2412.19437). Dense first layers, then experts
beside those that all tokens go through; or dense layers alone. V2 takes the softmax of
scores, and groups of experts by their best; V3 the sigmoid, a selection bias, and
groups by the sum of their two best. llama.cpp has the sum in both.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from llamacy.architectures.experts import selection_bias_tensors
from llamacy.architectures.feed_forward import feed_forward, feed_forward_tensors
from llamacy.architectures.latent_attention import (
    latent_attention,
    latent_attention_tensors,
)
from llamacy.architectures.layers import Layers, layers_with, with_shared
from llamacy.architectures.parts import Parts, Value
from llamacy.architectures.tensors import Specs, norm_tensors
from llamacy.config import ExpertConfig, LayerConfig, ModelConfig

_FLASH: Final = ((47, 48), 154880)  # layers and tokens of GLM 4.7 Flash


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with its experts and the shared one."""
    n_layers, n_vocab = _FLASH
    is_flash = config.n_layer in n_layers and config.n_vocab == n_vocab
    is_unsaid = config.experts is not None and config.experts.gating is None

    def experts(n_ff: int, experts: ExpertConfig) -> ExpertConfig:
        experts = with_shared(n_ff, experts)
        if is_flash and is_unsaid:  # as llama.cpp takes it
            experts = replace(experts, gating="sigmoid")
        return replace(experts, n_best=1 if experts.gating == "softmax" else 2)

    return layers_with(config, experts=experts)


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: norms, latent attention, a network or experts."""
    return {
        **norm_tensors(config, "attn_norm", "ffn_norm"),
        **latent_attention_tensors(config, layer),
        **feed_forward_tensors(config, layer),
        **selection_bias_tensors(layer),
    }


def forward(model: Parts) -> Value:
    """Add to each row what attention and network make of its norm."""
    ops, x = model.ops, model.embed()
    for block in model.layers():
        x = ops.add(x, latent_attention(block, block.norm(x, "attn_norm")))
        x = ops.add(x, feed_forward(block, block.norm(x, "ffn_norm")))
    return model.logits(x)
