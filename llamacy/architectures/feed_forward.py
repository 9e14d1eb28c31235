"""The feed-forward network of a layer: dense, or a mixture of experts."""

from __future__ import annotations

from llamacy.architectures.experts import expert_tensors, mixture, shared_expert
from llamacy.architectures.parts import Block, Value
from llamacy.architectures.tensors import Specs, required
from llamacy.config import LayerConfig, ModelConfig


def feed_forward_tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer's network, or of its router and experts."""
    experts, n_embd = layer.feed_forward.experts, config.n_embd
    if experts is not None:
        is_gated = layer.feed_forward.is_gated
        return expert_tensors(n_embd, experts, is_gated=is_gated)
    return dense_tensors(config, layer)


def dense_tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer's dense network."""
    n_ff, n_embd = layer.feed_forward.n_ff, config.n_embd
    gate = {"ffn_gate.weight": required(n_ff, n_embd)}
    return {
        **(gate if layer.feed_forward.is_gated else {}),
        "ffn_up.weight": required(n_ff, n_embd),
        "ffn_down.weight": required(n_embd, n_ff),
    }


def feed_forward(block: Block, x: Value) -> Value:
    """Apply the layer's network, or its experts: (M, n_embd) to (M, n_embd).

    The expert that all rows go through, if there is one, is added to the others.
    """
    network = block.config.feed_forward
    if network.experts is not None:
        assert network.activation not in ("geglu", "geglu_erf")
        y = mixture(block, x, network.experts, network.activation)
        is_shared = network.experts.n_ff_shared > 0
        return block.ops.add(y, shared_expert(block, x)) if is_shared else y
    return dense_network(block, x)


def dense_network(block: Block, x: Value) -> Value:
    """Apply the layer's dense network, be there experts beside it or not."""
    network = block.config.feed_forward
    assert network.activation != "clamped_swiglu"
    if not network.is_gated:
        activate = getattr(block.ops, network.activation)
        h = activate(block.network_linear(x, "ffn_up"), *network.constants)
        return block.network_linear(h, "ffn_down")
    gate, up = (block.network_linear(x, name) for name in ("ffn_gate", "ffn_up"))
    return block.network_linear(_gated(block, gate, up), "ffn_down")


def _gated(block: Block, gate: Value, up: Value) -> Value:
    """Join the two projections of a dense network."""
    ops, activation = block.ops, block.config.feed_forward.activation
    if activation == "geglu_erf":
        return ops.mul(ops.gelu_erf(gate), up)
    return ops.gelu_mul(gate, up) if activation == "geglu" else ops.silu_mul(gate, up)
