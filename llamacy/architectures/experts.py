"""Mixtures of experts, as the families that have them name and apply their tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llamacy.architectures.weights import TensorSpec, required
from llamacy.config import ExpertConfig
from llamacy.ops.experts import Experts
from llamacy.ops.vocabulary import Ops


def expert_tensors(
    experts: ExpertConfig, n_embd: int, n_ff: int
) -> dict[str, TensorSpec]:
    """Names and shapes of one layer's router and experts of width `n_ff`."""
    n = experts.n_expert
    return {
        "ffn_gate_inp.weight": required(n, n_embd),
        "ffn_gate_exps.weight": required(n, n_ff, n_embd),
        "ffn_up_exps.weight": required(n, n_ff, n_embd),
        "ffn_down_exps.weight": required(n, n_embd, n_ff),
    }


def mixture(
    ops: Ops[Any, Any],
    weights: Mapping[str, Any],
    layer: int,
    x: Any,
    experts: ExpertConfig,
    *,
    is_normalized: bool,
) -> Any:
    """Send `x` (M, n_embd), a layer's normed rows, through its experts: (M, n_embd)."""

    def weight(name: str) -> Any:
        return weights[f"blk.{layer}.{name}.weight"]

    def bias(name: str) -> Any:
        return weights.get(f"blk.{layer}.{name}.bias")

    scores = ops.linear(x, weight("ffn_gate_inp"), bias("ffn_gate_inp"))
    return ops.experts(
        x,
        scores,
        Experts(
            gate=weight("ffn_gate_exps"),
            up=weight("ffn_up_exps"),
            down=weight("ffn_down_exps"),
            gate_bias=bias("ffn_gate_exps"),
            up_bias=bias("ffn_up_exps"),
            down_bias=bias("ffn_down_exps"),
            n_used=experts.n_used,
            is_normalized=is_normalized,
        ),
    )
