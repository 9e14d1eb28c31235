"""A short convolution of a layer, between two gates."""

from __future__ import annotations

from llamacy.architectures.parts import Block, Value
from llamacy.architectures.tensors import Specs, TensorSpec, required
from llamacy.config import LayerConfig, ModelConfig, ShortConvConfig
from llamacy.ops.state.specs import Recurrence

_PARTS = ("in_b", "in_c", "in_x")


def short_conv_tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer's convolution, and of the matrices around it.

    The first matrix holds three: those of both gates, and of what is convolved.
    """
    n = config.n_embd
    parts = tuple((f"shortconv.{part}.weight", n) for part in _PARTS)
    kernel = (n, _mixer(layer).n_kernel)
    return {
        "shortconv.in_proj.weight": TensorSpec((3 * n, n), True, parts=parts),
        "shortconv.conv.weight": TensorSpec(kernel, True, is_flat=True),
        "shortconv.out_proj.weight": required(n, n),
    }


def short_conv(block: Block, x: Value) -> Value:
    """Convolve: `C * conv(B * X)` of three projections, (M, n_embd) to (M, n_embd)."""
    ops, mixer = block.ops, _mixer(block.config)
    b, c, x = (block.linear(x, f"shortconv.{part}") for part in _PARTS)
    state = Recurrence(
        block.number,
        n_channels=block.model.config.n_embd,
        n_columns=mixer.n_kernel - 1,
        n_after=mixer.n_after,
    )
    weight, bias = (
        block.weight(f"shortconv.conv.{kind}") for kind in ("weight", "bias")
    )
    convolved = ops.causal_conv(ops.mul(b, x), weight, bias, state=state)
    return block.linear(ops.mul(c, convolved), "shortconv.out_proj")


def _mixer(layer: LayerConfig) -> ShortConvConfig:
    assert isinstance(layer.mixer, ShortConvConfig)
    return layer.mixer
