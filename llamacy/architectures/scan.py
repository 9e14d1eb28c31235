"""The scan of Mamba-2 of a layer, after a convolution and before a gated norm.

Dao & Gu 2024 (arXiv:2405.21060). Tensors are llama.cpp's: `ssm_a` is the logarithm of
the decay of a step of 1, negative.
"""

from __future__ import annotations

from llamacy.architectures.parts import Block, Value
from llamacy.architectures.tensors import Specs, TensorSpec, optional, required
from llamacy.config import AttentionAndScanConfig, LayerConfig, ModelConfig, ScanConfig
from llamacy.ops.state.specs import Recurrence


def scan_tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer's scan, and of the matrices around it.

    The first matrix holds three: those of gates, of what is convolved, and of steps.
    """
    mixer, n_embd = scan_mixer(layer), config.n_embd
    n, n_values, n_head = mixer.n_channels, mixer.n_values, mixer.n_head
    parts = ("ssm_z.weight", n_values), ("ssm_x.weight", n), ("ssm_dt.weight", n_head)
    n_rows = n_values + n + n_head
    by_head = TensorSpec((n_head, 1), True, is_flat=True)
    by_group = (mixer.n_group, n_values // mixer.n_group)
    return {
        "ssm_in.weight": TensorSpec((n_rows, n_embd), True, parts=parts),
        "ssm_conv1d.weight": TensorSpec((n, mixer.n_kernel), True, is_flat=True),
        "ssm_conv1d.bias": optional(n),
        "ssm_dt.bias": required(n_head),
        "ssm_a": by_head,
        "ssm_d": by_head,
        "ssm_norm.weight": TensorSpec(by_group, True, is_flat=True),
        "ssm_out.weight": required(n_embd, n_values),
    }


def scan(block: Block, x: Value) -> Value:
    """Scan: (M, n_embd) to (M, n_embd)."""
    ops, mixer = block.ops, scan_mixer(block.config)
    state = Recurrence(
        block.number,
        mixer.n_channels,
        mixer.n_kernel - 1,
        mixer.n_head,
        mixer.key_dim,
        mixer.value_dim,
    )
    weight, bias = (block.weight(f"ssm_conv1d.{kind}") for kind in ("weight", "bias"))
    xbc = ops.causal_conv(block.linear(x, "ssm_x"), weight, bias, state=state)
    xbc = ops.silu(xbc)
    n_values, n_keys = mixer.n_values, mixer.n_group * mixer.key_dim
    y = ops.ssm_scan(
        ops.columns(xbc, 0, n_values),
        ops.softplus(block.linear(x, "ssm_dt")),
        ops.columns(xbc, n_values, n_keys),
        ops.columns(xbc, n_values + n_keys, n_keys),
        a=block.weight("ssm_a"),
        d=block.weight("ssm_d"),
        state=state,
    )
    y = ops.silu_mul(block.linear(x, "ssm_z"), y)
    if block.weight("ssm_norm.weight") is not None:
        y = block.norm(y, "ssm_norm", size=n_values // mixer.n_group)
    return block.linear(y, "ssm_out")


def scan_mixer(layer: LayerConfig) -> ScanConfig:
    """Return the scan of a layer that has one."""
    if isinstance(layer.mixer, AttentionAndScanConfig):
        return layer.mixer.scan
    assert isinstance(layer.mixer, ScanConfig)
    return layer.mixer
