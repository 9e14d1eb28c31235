"""A mixture of experts in place of a layer's feed-forward network."""

from __future__ import annotations

import math

from llamacy.architectures.parts import Block, Value
from llamacy.architectures.tensors import Specs, optional, required
from llamacy.config import Activation, ExpertConfig, LayerConfig
from llamacy.ops.experts import Experts


def expert_tensors(
    n_embd: int, experts: ExpertConfig, *, is_gated: bool = True
) -> Specs:
    """Return the specs of a layer's router, of its experts, and of the shared one.

    Experts that are not gated have no matrix for a gate.
    """
    n_expert, n_ff, n_shared = experts.n_expert, experts.n_ff, experts.n_ff_shared
    n_latent = experts.n_latent
    n = n_latent or n_embd
    latent = {
        "ffn_latent_down.weight": required(n, n_embd),
        "ffn_latent_up.weight": required(n_embd, n),
    }
    shared = {
        **({"ffn_gate_shexp.weight": required(n_shared, n_embd)} if is_gated else {}),
        "ffn_up_shexp.weight": required(n_shared, n_embd),
        "ffn_down_shexp.weight": required(n_embd, n_shared),
    }
    return {
        "ffn_gate_inp.weight": required(n_expert, n_embd),
        **(latent if n_latent else {}),
        **({"ffn_gate_exps.weight": required(n_expert, n_ff, n)} if is_gated else {}),
        "ffn_up_exps.weight": required(n_expert, n_ff, n),
        "ffn_down_exps.weight": required(n_expert, n, n_ff),
        **(shared if n_shared else {}),
    }


def selection_bias_tensors(layer: LayerConfig) -> Specs:
    """Return the spec of the bias that a layer's router may choose by."""
    experts = layer.feed_forward.experts
    return {} if experts is None else {"exp_probs_b.bias": optional(experts.n_expert)}


def expert_bias_tensors(n_embd: int, experts: ExpertConfig) -> Specs:
    """Return the specs of the biases of a layer's router, and of its experts."""
    n_expert, n_ff = experts.n_expert, experts.n_ff
    return {
        "ffn_gate_inp.bias": required(n_expert),
        "ffn_gate_exps.bias": required(n_expert, n_ff),
        "ffn_up_exps.bias": required(n_expert, n_ff),
        "ffn_down_exps.bias": required(n_expert, n_embd),
    }


def mixture(
    block: Block,
    x: Value,
    experts: ExpertConfig,
    activation: Activation,
    scores: Value | None = None,
) -> Value:
    """Send rows through the experts that the router scores highest for them.

    Parameters
    ----------
    block : Block
        The layer.
    x : Value
        Rows, (M, n_embd).
    experts : ExpertConfig
        The layer's experts.
    activation : Activation
        Joins an expert's gate and up, or follows up where there is no gate.
    scores : Value or None
        The router's scores, (M, n_expert), where it reads other rows than the experts.

    Returns
    -------
    Value
        Rows, (M, n_embd).
    """
    if scores is None:
        scores = block.linear(x, "ffn_gate_inp")
    y = block.ops.experts(
        block.network_linear(x, "ffn_latent_down") if experts.n_latent else x,
        scores,
        Experts(
            gate=block.weight("ffn_gate_exps.weight"),
            up=block.weight("ffn_up_exps.weight"),
            down=block.weight("ffn_down_exps.weight"),
            gate_bias=block.weight("ffn_gate_exps.bias"),
            up_bias=block.weight("ffn_up_exps.bias"),
            down_bias=block.weight("ffn_down_exps.bias"),
            gate_scale=block.weight("ffn_gate_exps.scale"),
            up_scale=block.weight("ffn_up_exps.scale"),
            down_scale=block.weight("ffn_down_exps.scale"),
            n_used=experts.n_used,
            is_normalized=bool(experts.is_normalized),
            activation=activation,
            limit=experts.limit,
            gating=experts.gating or "softmax",
            scale=experts.scale,
            jitter=experts.jitter,
            n_group=experts.n_group,
            n_group_used=experts.n_group_used,
            n_best=experts.n_best,
            selection_bias=block.weight("exp_probs_b.bias"),
        ),
    )
    return block.network_linear(y, "ffn_latent_up") if experts.n_latent else y


def shared_expert(block: Block, x: Value) -> Value:
    """Apply the expert that all rows go through: (M, n_embd) to (M, n_embd)."""
    network, ops = block.config.feed_forward, block.ops
    limit = 0.0 if network.experts is None else network.experts.shared_limit
    if network.is_gated:
        names = ("ffn_gate_shexp", "ffn_up_shexp")
        gate, up = (block.network_linear(x, name) for name in names)
        if limit:
            gate = ops.clamp(ops.silu(gate), -math.inf, limit)
            h = ops.mul(gate, ops.clamp(up, -limit, limit))
        else:
            h = ops.silu_mul(gate, up)
    else:
        activate = getattr(ops, network.activation)
        h = activate(block.network_linear(x, "ffn_up_shexp"))
    return block.network_linear(h, "ffn_down_shexp")
