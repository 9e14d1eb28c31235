"""Kimi Delta Attention of a layer: a delta rule with a decay of each channel of keys.

Kimi Team 2025 (arXiv:2510.26692). Queries, keys and values are convolved by themselves,
each head has keys of its own, and the sigmoid of a gate multiplies the normed result.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamacy.architectures.delta_rule import convolved, delta_rule_mixer, recalled
from llamacy.architectures.parts import Block, Value
from llamacy.architectures.tensors import Specs, TensorSpec, required
from llamacy.config import LayerConfig, ModelConfig

_CONVOLUTIONS = tuple(f"ssm_conv1d_{part}.weight" for part in "qkv")


def kimi_delta_tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer's delta rule, but for those of decays and gates.

    Files have convolutions and rates of decays with dimensions of size 1 more, which
    some writers keep and others do not.
    """
    mixer, n_embd = delta_rule_mixer(layer), config.n_embd
    n_head, n_kernel, n = mixer.n_head, mixer.n_kernel, mixer.n_head * mixer.key_dim
    kernel = TensorSpec(
        *((n, 1, n_kernel), True),
        other_shape=(1, n, 1, n_kernel),
        is_flat=True,
        is_constant=True,
    )
    rates = TensorSpec(
        *((n_head, 1), True),
        other_shape=(1, 1, n_head, 1),
        is_flat=True,
        is_constant=True,
    )
    return {
        **{f"attn_{part}.weight": required(n, n_embd) for part in "qkv"},
        **dict.fromkeys(_CONVOLUTIONS, kernel),
        "ssm_dt.bias": required(n),
        "ssm_a": rates,
        "ssm_beta.weight": required(n_head, n_embd),
        "ssm_norm.weight": required(mixer.value_dim),
        "attn_output.weight": required(n_embd, n),
    }


def kimi_delta(block: Block, x: Value, decay: Value, gate: Value) -> Value:
    """Apply the layer's delta rule: (M, n_embd) to (M, n_embd).

    Parameters
    ----------
    block : Block
        The layer.
    x : Value
        Rows, (M, n_embd).
    decay : Value
        Logarithms of the decays of each head's channels, (M, n_head * key_dim).
    gate : Value
        Its sigmoid multiplies the results, (M, n_head * value_dim).
    """
    ops = block.ops
    q, k, v = (block.linear(x, f"attn_{part}") for part in "qkv")
    kernels = np.concatenate([block.weight(name) for name in _CONVOLUTIONS])
    qkv = convolved(block, ops.join(ops.join(q, k), v), kernels)
    y = recalled(block, qkv, decay, block.linear(x, "ssm_beta"))
    gated = ops.mul(block.norm(y, "ssm_norm"), ops.sigmoid(gate))
    return block.linear(gated, "attn_output")


def steps(block: Block, x: Value, name: str) -> Value:
    """Make the steps of all channels by a matrix and a bias: (M, n_head * key_dim)."""
    weights = map(block.weight, (f"{name}.weight", "ssm_dt.bias", f"{name}.scale"))
    return block.ops.linear(x, *weights)


def rates(block: Block) -> NDArray[np.float32]:
    """Return the rates of decays, one a head in the file, of each channel."""
    n = delta_rule_mixer(block.config).key_dim
    return np.repeat(np.asarray(block.weight("ssm_a"), np.float32), n)
