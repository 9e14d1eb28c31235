"""The gated delta rule of a layer, after a convolution and before a gated norm.

Yang et al. 2024 (arXiv:2412.06464). Queries and keys have length 1, and queries are
divided by the root of their dimensions. Tensors are llama.cpp's: `ssm_a` is the decay
of a step of 1, negative.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from llamacy.architectures.parts import Block, Value
from llamacy.architectures.tensors import Specs, TensorSpec, required
from llamacy.config import DeltaRuleConfig, LayerConfig, ModelConfig
from llamacy.ops.state.specs import Recurrence

_LENGTH_EPS: Final = 1e-6


def delta_rule_tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer's delta rule, but for shares and steps."""
    mixer, n_embd = delta_rule_mixer(layer), config.n_embd
    n, n_values = mixer.n_channels, mixer.n_head * mixer.value_dim
    return {
        "attn_qkv.weight": required(n, n_embd),
        "attn_gate.weight": required(n_values, n_embd),
        "ssm_conv1d.weight": TensorSpec((n, mixer.n_kernel), True, is_flat=True),
        "ssm_dt.bias": required(mixer.n_head),
        "ssm_a": required(mixer.n_head),
        "ssm_norm.weight": required(mixer.value_dim),
        "ssm_out.weight": required(n_embd, n_values),
    }


def delta_rule(block: Block, x: Value, shares: Value, steps: Value) -> Value:
    """Apply the layer's delta rule: (M, n_embd) to (M, n_embd).

    Parameters
    ----------
    block : Block
        The layer.
    x : Value
        Rows, (M, n_embd).
    shares : Value
        (M, n_head): their sigmoid is how much of a row's values is learned.
    steps : Value
        (M, n_head): their softplus multiplies the logarithm of the decay.
    """
    ops = block.ops
    kernels = block.weight("ssm_conv1d.weight")
    qkv = convolved(block, block.linear(x, "attn_qkv"), kernels)
    decay = ops.gain(ops.softplus(steps), block.weight("ssm_a"))
    y = recalled(block, qkv, decay, shares)
    gate = block.linear(x, "attn_gate")
    return block.linear(ops.silu_mul(gate, block.norm(y, "ssm_norm")), "ssm_out")


def convolved(block: Block, qkv: Value, kernels: Any) -> Value:
    """Convolve queries, keys and values, with `kernels` as one vector: (M, n)."""
    state = _state(block)
    return block.ops.silu(block.ops.causal_conv(qkv, kernels, state=state))


def recalled(block: Block, qkv: Value, decay: Value, shares: Value) -> Value:
    """Apply the rule to what is convolved: (M, n_head * value_dim).

    Parameters
    ----------
    block : Block
        The layer.
    qkv : Value
        Queries, keys and values, one after the other.
    decay : Value
        Logarithms of decays: of each head, or of each channel of its keys.
    shares : Value
        (M, n_head): their sigmoid is how much of a row's values is learned.
    """
    ops, mixer = block.ops, delta_rule_mixer(block.config)
    n_keys, n_values = mixer.n_key_head * mixer.key_dim, mixer.n_head * mixer.value_dim
    qk = _of_unit_length(block, ops.columns(qkv, 0, 2 * n_keys))
    return ops.delta_rule(
        ops.columns(qk, 0, n_keys),
        ops.columns(qk, n_keys, n_keys),
        ops.columns(qkv, 2 * n_keys, n_values),
        decay,
        ops.sigmoid(shares),
        state=_state(block),
        key_head=mixer.key_head,
    )


def _state(block: Block) -> Recurrence:
    mixer = delta_rule_mixer(block.config)
    return Recurrence(
        block.number,
        mixer.n_channels,
        mixer.n_kernel - 1,
        mixer.n_head,
        mixer.key_dim,
        mixer.value_dim,
    )


def delta_rule_mixer(layer: LayerConfig) -> DeltaRuleConfig:
    """Return the mixer of a layer with a delta rule."""
    assert isinstance(layer.mixer, DeltaRuleConfig)
    return layer.mixer


def _of_unit_length(block: Block, qk: Value) -> Value:
    """Give heads of keys length 1, and queries that over the root of their dimensions.

    An RMS norm does it, as the root of n is between the two.
    """
    mixer = delta_rule_mixer(block.config)
    n, n_keys = mixer.key_dim, mixer.n_key_head * mixer.key_dim
    lengths = np.repeat([n**-0.5, 1.0], n_keys) / math.sqrt(n)
    weight = lengths.astype(np.float32)
    return block.ops.rms_norm(qk, weight, _LENGTH_EPS / n, size=n)
