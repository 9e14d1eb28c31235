"""Granite MoE: Granite's layers with experts, each as wide as a network.

IBM Granite Team 2024 (github.com/ibm-granite/granite-3.0-language-models). Some models
have a network beside the experts that all rows go through, without a gate of its own.
"""

from __future__ import annotations

from dataclasses import replace

from llamacy.architectures import granite, llama
from llamacy.architectures.attention import attention
from llamacy.architectures.experts import shared_expert, shared_expert_tensors
from llamacy.architectures.feed_forward import feed_forward
from llamacy.architectures.layers import Layers
from llamacy.architectures.parts import Block, Parts, Value
from llamacy.architectures.tensors import Specs
from llamacy.config import LayerConfig, ModelConfig


def layers(config: ModelConfig) -> Layers:
    """Return Granite's layers, with experts as wide as its networks."""
    with_experts = llama.layers(config)
    return tuple(
        replace(layer, feed_forward=its.feed_forward)
        for layer, its in zip(granite.layers(config), with_experts, strict=True)
    )


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: LLaMA's, and the network beside experts."""
    experts, specs = layer.feed_forward.experts, llama.tensors(config, layer)
    if experts is not None and experts.n_ff_shared:
        specs |= shared_expert_tensors(config.n_embd, experts)
    return specs


def forward(model: Parts) -> Value:
    """Scale the embeddings, what each part adds, and the logits."""
    ops, config = model.ops, model.config
    x = ops.scale(model.embed(), config.embedding_scale)
    for block in model.layers():
        h = attention(block, block.norm(x, "attn_norm"))
        x = ops.add(x, ops.scale(h, config.residual_scale))
        h = _network(block, block.norm(x, "ffn_norm"))
        x = ops.add(x, ops.scale(h, config.residual_scale))
    return ops.scale(model.logits(x), 1 / config.logit_scale)


def _network(block: Block, x: Value) -> Value:
    """Apply the experts, and the network beside them that reads the same rows."""
    y, experts = feed_forward(block, x), block.config.feed_forward.experts
    if experts is None or not experts.n_ff_shared:
        return y
    return block.ops.add(y, shared_expert(block, x))
