"""A mixture of experts in place of a layer's feed-forward network."""

from __future__ import annotations

from typing import Literal

from llamacy.architectures.parts import Block, Value
from llamacy.architectures.tensors import Specs, required
from llamacy.config import ExpertConfig
from llamacy.ops.experts import Experts


def expert_tensors(n_embd: int, experts: ExpertConfig) -> Specs:
    """Return the specs of a layer's router, and of its experts."""
    n_expert, n_ff = experts.n_expert, experts.n_ff
    return {
        "ffn_gate_inp.weight": required(n_expert, n_embd),
        "ffn_gate_exps.weight": required(n_expert, n_ff, n_embd),
        "ffn_up_exps.weight": required(n_expert, n_ff, n_embd),
        "ffn_down_exps.weight": required(n_expert, n_embd, n_ff),
    }


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
    activation: Literal["swiglu", "geglu", "clamped_swiglu"],
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
    activation : str
        Joins an expert's gate and up.
    scores : Value or None
        The router's scores, (M, n_expert), where it reads other rows than the experts.

    Returns
    -------
    Value
        Rows, (M, n_embd).
    """
    if scores is None:
        scores = block.linear(x, "ffn_gate_inp")
    return block.ops.experts(
        x,
        scores,
        Experts(
            gate=block.weight("ffn_gate_exps.weight"),
            up=block.weight("ffn_up_exps.weight"),
            down=block.weight("ffn_down_exps.weight"),
            gate_bias=block.weight("ffn_gate_exps.bias"),
            up_bias=block.weight("ffn_up_exps.bias"),
            down_bias=block.weight("ffn_down_exps.bias"),
            scale=block.weight("ffn_down_exps.scale"),
            n_used=experts.n_used,
            is_normalized=bool(experts.is_normalized),
            activation=activation,
        ),
    )
