"""Qwen 1.5 MoE and Qwen 2 MoE: many small experts, and one that all tokens go through.

Yang et al. 2024 (arXiv:2407.10671): Qwen 2's layers, with a mixture of experts whose
weights are shares of the softmax of all scores. Beside it is a wider network, gated by
the sigmoid of a score of its own.
"""

from __future__ import annotations

from dataclasses import replace

from llamacy.architectures.attention import attention, attention_tensors
from llamacy.architectures.experts import shared_expert, shared_expert_tensors
from llamacy.architectures.feed_forward import feed_forward, feed_forward_tensors
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
    return layers_with(config, is_neox=True, experts=_with_shared_expert)


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: Qwen 2's, with experts and the shared one."""
    assert layer.feed_forward.experts is not None
    matrices, n_embd = attention_tensors(config, layer), config.n_embd
    shared = shared_expert_tensors(n_embd, layer.feed_forward.experts)
    return {
        **norm_tensors(config, "attn_norm", "ffn_norm"),
        **matrices,
        **optional_biases(matrices),
        **feed_forward_tensors(config, layer),
        "ffn_gate_inp_shexp.weight": required(n_embd),
        **shared,
    }


def forward(model: Parts) -> Value:
    """Add attention, the mixture, and the shared expert, which reads the same rows."""
    ops, x = model.ops, model.embed()
    for block in model.layers():
        x = ops.add(x, attention(block, block.norm(x, "attn_norm")))
        h = block.norm(x, "ffn_norm")
        x = ops.add(x, feed_forward(block, h))
        x = ops.add(x, _shared_expert(block, h))
    return model.logits(x)


def _with_shared_expert(n_ff: int, experts: ExpertConfig) -> ExpertConfig:
    return replace(experts, n_ff_shared=experts.n_ff_shared or n_ff)


def _shared_expert(block: Block, x: Value) -> Value:
    y = shared_expert(block, x)
    return block.ops.sigmoid_gate(y, x, block.weight("ffn_gate_inp_shexp.weight"))
