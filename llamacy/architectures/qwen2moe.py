"""Qwen 1.5 MoE and Qwen 2 MoE: many small experts, and one that all tokens go through.

Yang et al. 2024 (arXiv:2407.10671): Qwen 2's layers, with a mixture of experts whose
weights are shares of the softmax of all scores. Beside it is a wider network, gated by
the sigmoid of a score of its own.
"""

from __future__ import annotations

from dataclasses import replace

from llamacy.architectures.attention import attention, attention_tensors
from llamacy.architectures.experts import mixture, shared_expert
from llamacy.architectures.feed_forward import feed_forward_tensors
from llamacy.architectures.layers import Layers, layers_with
from llamacy.architectures.parts import Block, Parts, Value
from llamacy.architectures.tensors import (
    Specs,
    norm_tensors,
    optional_biases,
    required,
)
from llamacy.config import ExpertConfig, LayerConfig, ModelConfig


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with a shared expert as wide as a network."""
    return layers_with(config, is_neox=True, experts=with_shared_expert)


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: Qwen 2's, with experts and the shared one."""
    assert layer.feed_forward.experts is not None
    matrices = attention_tensors(config, layer)
    return {
        **norm_tensors(config, "attn_norm", "ffn_norm"),
        **matrices,
        **optional_biases(matrices),
        **feed_forward_tensors(config, layer),
        "ffn_gate_inp_shexp.weight": required(config.n_embd),
    }


def forward(model: Parts) -> Value:
    """Add attention, the mixture, and the shared expert, which reads the same rows."""
    ops, x = model.ops, model.embed()
    for block in model.layers():
        x = ops.add(x, attention(block, block.norm(x, "attn_norm")))
        x = gated_mixture(block, x, "ffn_norm")
    return model.logits(x)


def gated_mixture(block: Block, x: Value, norm: str) -> Value:
    """Add the mixture and the shared expert, which read the same norm of the rows."""
    ops, experts = block.ops, block.config.feed_forward.experts
    assert experts is not None
    h = block.norm(x, norm)
    x = ops.add(x, mixture(block, h, experts, "swiglu"))
    gate = block.weight("ffn_gate_inp_shexp.weight")
    return ops.add(x, ops.sigmoid_gate(shared_expert(block, h), h, gate))


def with_shared_expert(n_ff: int, experts: ExpertConfig) -> ExpertConfig:
    """Return the experts with the shared one, as wide as a network by default."""
    return replace(experts, n_ff_shared=experts.n_ff_shared or n_ff)
