"""The selective scan of Mamba of a layer, after a convolution and before a gate.

Gu & Dao 2023 (arXiv:2312.00752). Tensors are llama.cpp's: `ssm_a` is the logarithm of
the decay of a step of 1, negative.
"""

from __future__ import annotations

from typing import Final

from llamacy.architectures.parts import Block, Value
from llamacy.architectures.tensors import Specs, TensorSpec, optional, required
from llamacy.config import LayerConfig, ModelConfig, SelectiveScanConfig
from llamacy.ops.state.specs import Recurrence

N_SIDE_BY_SIDE: Final = 16  # channels whose numbers are neighbours in memory


def selective_scan_tensors(
    config: ModelConfig, layer: LayerConfig, *, has_norms: bool = False
) -> Specs:
    """Return the specs of a layer's scan, and of the matrices around it.

    The first matrix holds two: those of what is convolved, and of gates. `ssm_x` makes
    steps, what writes and what reads, which may be normed by weights.
    """
    mixer, n_embd = _mixer(layer), config.n_embd
    n, key_dim, n_step = mixer.n_channels, mixer.key_dim, mixer.n_step
    parts = ("ssm_u.weight", n), ("ssm_z.weight", n)
    norms = {
        "ssm_dt_norm.weight": required(n_step),
        "ssm_b_norm.weight": required(key_dim),
        "ssm_c_norm.weight": required(key_dim),
    }
    return {
        "ssm_in.weight": TensorSpec((2 * n, n_embd), True, parts=parts),
        "ssm_conv1d.weight": TensorSpec((n, mixer.n_kernel), True, is_flat=True),
        "ssm_conv1d.bias": optional(n),
        "ssm_x.weight": required(n_step + 2 * key_dim, n),
        **(norms if has_norms else {}),
        "ssm_dt.weight": required(n, n_step),
        "ssm_dt.bias": required(n),
        "ssm_a": TensorSpec((n, key_dim), True, is_flat=True),
        "ssm_d": required(n),
        "ssm_out.weight": required(n_embd, n),
    }


def selective_scan(block: Block, x: Value) -> Value:
    """Scan: (M, n_embd) to (M, n_embd)."""
    ops, mixer, state = block.ops, _mixer(block.config), _state(block)
    weight, bias = (block.weight(f"ssm_conv1d.{kind}") for kind in ("weight", "bias"))
    u = ops.causal_conv(block.linear(x, "ssm_u"), weight, bias, state=state)
    u = ops.silu(u)
    made, n_step, key_dim = block.linear(u, "ssm_x"), mixer.n_step, mixer.key_dim
    dt = _normed(block, ops.columns(made, 0, n_step), "ssm_dt_norm")
    b = _normed(block, ops.columns(made, n_step, key_dim), "ssm_b_norm")
    c = _normed(block, ops.columns(made, n_step + key_dim, key_dim), "ssm_c_norm")
    y = ops.selective_scan(
        u,
        ops.softplus(block.linear(dt, "ssm_dt")),
        b,
        c,
        a=block.weight("ssm_a"),
        d=block.weight("ssm_d"),
        state=state,
    )
    return block.linear(ops.silu_mul(block.linear(x, "ssm_z"), y), "ssm_out")


def _state(block: Block) -> Recurrence:
    """Return what the layer keeps of a text."""
    mixer = _mixer(block.config)
    n = mixer.n_channels
    side_by_side = n if n % N_SIDE_BY_SIDE else N_SIDE_BY_SIDE
    n_part = n // side_by_side
    return Recurrence(
        block.number, n, mixer.n_kernel - 1, n_part, mixer.key_dim, side_by_side
    )


def _normed(block: Block, x: Value, name: str) -> Value:
    """Norm rows where the model does."""
    if block.weight(f"{name}.weight") is not None:
        return block.norm(x, name)
    mixer, eps = _mixer(block.config), block.model.config.norm_eps
    if not mixer.is_normed:
        return x
    return block.ops.rms_norm(x, None, mixer.norm_eps or eps)


def _mixer(layer: LayerConfig) -> SelectiveScanConfig:
    assert isinstance(layer.mixer, SelectiveScanConfig)
    return layer.mixer
