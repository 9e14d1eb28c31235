"""Kimi Linear: Kimi Delta Attention, latent attention in some layers, and experts.

Kimi Team 2025 (arXiv:2510.26692). No layer has positions: those of tokens are in what
the delta rule keeps. Decays and gates are made of rows by a narrow matrix and a wide
one. Experts are those of DeepSeek V3.
"""

from __future__ import annotations

from llamacy.architectures.experts import selection_bias_tensors
from llamacy.architectures.feed_forward import feed_forward, feed_forward_tensors
from llamacy.architectures.kimi_delta import (
    kimi_delta,
    kimi_delta_tensors,
    rates,
    steps,
)
from llamacy.architectures.latent_attention import (
    latent_attention,
    latent_attention_tensors,
)
from llamacy.architectures.layers import (
    Layers,
    layers_with,
    with_shared,
    without_positions,
)
from llamacy.architectures.parts import Block, Parts, Value
from llamacy.architectures.tensors import Specs, norm_tensors, required
from llamacy.config import DeltaRuleConfig, LayerConfig, ModelConfig


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with its experts, and without positions."""
    return tuple(map(without_positions, layers_with(config, experts=with_shared)))


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: two norms, a mixer, a network or experts."""
    return {
        **norm_tensors(config, "attn_norm", "ffn_norm"),
        **_mixer_tensors(config, layer),
        **feed_forward_tensors(config, layer),
        **selection_bias_tensors(layer),
    }


def _mixer_tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    if not isinstance(layer.mixer, DeltaRuleConfig):
        return latent_attention_tensors(config, layer)
    mixer, n_embd = layer.mixer, config.n_embd
    n, n_narrow = mixer.n_head * mixer.key_dim, mixer.key_dim
    return {
        **kimi_delta_tensors(config, layer),
        **{f"ssm_{part}_a.weight": required(n_narrow, n_embd) for part in "fg"},
        **{f"ssm_{part}_b.weight": required(n, n_narrow) for part in "fg"},
    }


def forward(model: Parts) -> Value:
    """Add to each row what mixer and network make of its norm."""
    ops, x = model.ops, model.embed()
    for block in model.layers():
        x = ops.add(x, _mix(block, block.norm(x, "attn_norm")))
        x = ops.add(x, feed_forward(block, block.norm(x, "ffn_norm")))
    return model.logits(x)


def _mix(block: Block, x: Value) -> Value:
    if not isinstance(block.config.mixer, DeltaRuleConfig):
        return latent_attention(block, x)
    ops = block.ops
    forgotten = ops.softplus(steps(block, block.linear(x, "ssm_f_a"), "ssm_f_b"))
    gate = block.linear(block.linear(x, "ssm_g_a"), "ssm_g_b")
    return kimi_delta(block, x, ops.gain(forgotten, rates(block)), gate)
