"""Granite 4 H: Granite's layers, most of which scan as Mamba-2 does.

IBM 2025 (github.com/ibm-granite/granite-4.0-language-models). The few that attend have
no positions. Models with experts have a network beside them that all rows go through,
without a gate of its own.
"""

from __future__ import annotations

from dataclasses import replace

from llamacy.architectures.attention import attention, attention_tensors
from llamacy.architectures.feed_forward import feed_forward, feed_forward_tensors
from llamacy.architectures.layers import Layers, layers_with, without_positions
from llamacy.architectures.parts import Block, Parts, Value
from llamacy.architectures.scan import scan, scan_tensors
from llamacy.architectures.tensors import Specs, norm_tensors, optional_biases
from llamacy.config import AttentionConfig, ExpertConfig, LayerConfig, ModelConfig


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with experts as wide as its networks."""
    layers = layers_with(config, experts=_widened)
    if config.rope.is_finetuned:
        return layers
    return tuple(
        without_positions(layer) if isinstance(layer.mixer, AttentionConfig) else layer
        for layer in layers
    )


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: two norms, a mixer, and a network."""
    return {
        **norm_tensors(config, "attn_norm", "ffn_norm"),
        **mixer_tensors(config, layer),
        **feed_forward_tensors(config, layer),
    }


def mixer_tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer's attention, which may have biases, or its scan."""
    if not isinstance(layer.mixer, AttentionConfig):
        return scan_tensors(config, layer)
    matrices = attention_tensors(config, layer)
    return matrices | optional_biases(matrices)


def forward(model: Parts) -> Value:
    """Scale the embeddings, what each part adds, and the logits."""
    ops, config = model.ops, model.config
    x = ops.scale(model.embed(), config.embedding_scale)
    for block in model.layers():
        h = mix(block, block.norm(x, "attn_norm"))
        x = ops.add(x, ops.scale(h, config.residual_scale))
        h = feed_forward(block, block.norm(x, "ffn_norm"))
        x = ops.add(x, ops.scale(h, config.residual_scale))
    return ops.scale(model.logits(x), 1 / config.logit_scale)


def mix(block: Block, x: Value) -> Value:
    """Attend, or scan: (M, n_embd) to (M, n_embd)."""
    if isinstance(block.config.mixer, AttentionConfig):
        return attention(block, x)
    return scan(block, x)


def _widened(n_ff: int, experts: ExpertConfig) -> ExpertConfig:
    return replace(experts, n_ff=n_ff)
