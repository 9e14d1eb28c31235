"""Qwen3-Next: Qwen 3.5's layers with experts, of which it is the forerunner.

Qwen Team 2025. Neighbouring heads of values read one head of keys, and one matrix makes
shares and steps of all heads that read a head of keys side by side.
"""

from __future__ import annotations

import numpy as np

from llamacy.architectures import mtp
from llamacy.architectures.delta_rule import (
    delta_rule,
    delta_rule_mixer,
    delta_rule_tensors,
)
from llamacy.architectures.feed_forward import feed_forward_tensors
from llamacy.architectures.layers import Layers, layers_with
from llamacy.architectures.parts import Block, Parts, Value
from llamacy.architectures.qwen2moe import gated_mixture, with_shared_expert
from llamacy.architectures.qwen35 import (
    NORMS,
    gated_attention,
    gated_attention_tensors,
    keys_and_values,
)
from llamacy.architectures.tensors import Specs, TensorSpec, norm_tensors, required
from llamacy.config import AttentionConfig, LayerConfig, ModelConfig


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with its experts and the shared one."""
    return layers_with(config, is_neox=True, experts=with_shared_expert)


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: two norms, a mixer, and experts."""
    return {
        **norm_tensors(config, *NORMS),
        **_mixer_tensors(config, layer),
        **feed_forward_tensors(config, layer),
        "ffn_gate_inp_shexp.weight": required(config.n_embd),
    }


def _mixer_tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    if isinstance(layer.mixer, AttentionConfig):
        return gated_attention_tensors(config, layer)
    n_head = delta_rule_mixer(layer).n_head
    return {
        **delta_rule_tensors(config, layer),
        "ssm_dt.bias": TensorSpec((n_head,), True, is_constant=True),
        "ssm_ba.weight": required(2 * n_head, config.n_embd),
    }


def forward(model: Parts) -> Value:
    """Add to each row what mixer and experts make of its norm."""
    x = model.embed()
    for block in model.layers():
        x = _through(block, x)
    if model.config.has_mtp:
        mtp.keep_up(model, x, keys_and_values)
    return model.logits(x)


def draft(model: Parts) -> Value:
    """Return the logits of the MTP head: see `mtp`."""
    return mtp.draft(model, _through)


def _through(block: Block, x: Value) -> Value:
    x = block.ops.add(x, _mix(block, block.norm(x, "attn_norm")))
    return gated_mixture(block, x, "post_attention_norm")


def _mix(block: Block, x: Value) -> Value:
    if isinstance(block.config.mixer, AttentionConfig):
        return gated_attention(block, x)
    ops, mixer = block.ops, delta_rule_mixer(block.config)
    n_shared = mixer.n_head // mixer.n_key_head
    bias = np.zeros((mixer.n_key_head, 2, n_shared), np.float32)
    bias[:, 1] = np.reshape(block.weight("ssm_dt.bias"), (-1, n_shared))
    both = ops.linear(x, block.weight("ssm_ba.weight"), bias.reshape(-1))
    shares, steps = (
        ops.columns(both, first, n_shared, of=2 * n_shared) for first in (0, n_shared)
    )
    return delta_rule(block, x, shares, steps)
