"""Ling 3.0 and Ring 3.0: Kimi Delta Attention, gated latent attention, and experts.

The layers of Kimi Linear, with positions in those that attend. Decays, which have a
bound, and gates are made of rows by one matrix each, and the results of attention have
a gate for each head. Experts are in groups, as in DeepSeek V3. Files have the rates of
decays themselves, and not their negatives.
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
from llamacy.architectures.layers import Layers, layers_with, with_shared
from llamacy.architectures.parts import Block, Parts, Value
from llamacy.architectures.tensors import Specs, norm_tensors, required
from llamacy.config import DeltaRuleConfig, LayerConfig, ModelConfig


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with its experts and the shared one."""
    return layers_with(config, experts=with_shared)


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: two norms, a mixer, a network or experts."""
    return {
        **norm_tensors(config, "attn_norm", "ffn_norm"),
        **_mixer_tensors(config, layer),
        **feed_forward_tensors(config, layer),
        **selection_bias_tensors(layer),
    }


def _mixer_tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    mixer, n_embd = layer.mixer, config.n_embd
    if not isinstance(mixer, DeltaRuleConfig):
        return {
            **latent_attention_tensors(config, layer),
            "attn_gate.weight": required(layer.attention.n_head, n_embd),
        }
    n = mixer.n_head * mixer.key_dim
    return {
        **kimi_delta_tensors(config, layer),
        **{f"ssm_{part}_a.weight": required(n, n_embd) for part in "fg"},
    }


def forward(model: Parts) -> Value:
    """Add to each row what mixer and network make of its norm."""
    ops, x = model.ops, model.embed()
    for block in model.layers():
        x = ops.add(x, _mix(block, block.norm(x, "attn_norm")))
        x = ops.add(x, feed_forward(block, block.norm(x, "ffn_norm")))
    return model.logits(x)


def _mix(block: Block, x: Value) -> Value:
    if isinstance(block.config.mixer, DeltaRuleConfig):
        gate = block.linear(x, "ssm_g_a")
        return kimi_delta(block, x, _decay(block, x, block.config.mixer), gate)
    gate = block.ops.sigmoid(block.linear(x, "attn_gate"))
    return latent_attention(block, x, gate)


def _decay(block: Block, x: Value, mixer: DeltaRuleConfig) -> Value:
    """Return logarithms of decays: of one channel each, (M, n_head * key_dim)."""
    ops, made = block.ops, steps(block, x, "ssm_f_a")
    if mixer.least_decay is None:
        return ops.gain(ops.softplus(made), -rates(block))
    share = ops.sigmoid(ops.gain(made, rates(block)))
    return ops.scale(share, mixer.least_decay)
