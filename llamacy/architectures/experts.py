"""Mixtures of experts, as the families that have them name and apply their tensors."""

from __future__ import annotations

from typing import Any, Literal

from llamacy.architectures.transformer import Block
from llamacy.architectures.weights import TensorSpec, required
from llamacy.config import ExpertConfig, ModelConfig
from llamacy.ops.experts import Experts


def experts_of(config: ModelConfig) -> ExpertConfig:
    """Find a model's experts, which it is known to have."""
    assert config.experts is not None
    return config.experts


def expert_width(config: ModelConfig) -> int:
    """Find the width of an expert; where none is named, the experts used share n_ff."""
    experts = experts_of(config)
    return experts.n_ff or max(1, config.n_ff // experts.n_used)


def expert_tensors(config: ModelConfig, n_ff: int) -> dict[str, TensorSpec]:
    """Specs of one layer's router, and of its experts of width `n_ff`."""
    n_expert, n_embd = experts_of(config).n_expert, config.n_embd
    return {
        "ffn_gate_inp.weight": required(n_expert, n_embd),
        "ffn_gate_exps.weight": required(n_expert, n_ff, n_embd),
        "ffn_up_exps.weight": required(n_expert, n_ff, n_embd),
        "ffn_down_exps.weight": required(n_expert, n_embd, n_ff),
    }


def mixture(
    block: Block,
    x: Any,
    *,
    is_normalized: bool,
    activation: Literal["swiglu", "clamped_swiglu"] = "swiglu",
) -> Any:
    """Send rows through the experts that the router scores highest for them.

    (M, n_embd) to (M, n_embd); for `is_normalized`, where the file does not say, and
    `activation` see Experts.
    """
    experts = experts_of(block.config)
    if experts.is_normalized is not None:
        is_normalized = experts.is_normalized
    return block.ops.experts(
        x,
        block.linear(x, "ffn_gate_inp"),
        Experts(
            gate=block.weight("ffn_gate_exps.weight"),
            up=block.weight("ffn_up_exps.weight"),
            down=block.weight("ffn_down_exps.weight"),
            gate_bias=block.weight("ffn_gate_exps.bias"),
            up_bias=block.weight("ffn_up_exps.bias"),
            down_bias=block.weight("ffn_down_exps.bias"),
            n_used=experts.n_used,
            is_normalized=is_normalized,
            activation=activation,
        ),
    )
