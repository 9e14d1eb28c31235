"""Granite 4 H: Granite's layers, most of which scan as Mamba-2 does.

IBM 2025 (github.com/ibm-granite/granite-4.0-language-models). The few that attend have
no positions. Models with experts have a network beside them that all rows go through,
without a gate of its own.
"""

from __future__ import annotations

from dataclasses import replace

from llamacy.architectures.attention import attention, attention_tensors
from llamacy.architectures.feed_forward import feed_forward_tensors
from llamacy.architectures.granite import scaled
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
    return tuple(map(without_positions, layers))


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
    """Scale as Granite does; mix by attention or by a scan."""
    return scaled(model, mix)


def mix(block: Block, x: Value) -> Value:
    """Attend, or scan: (M, n_embd) to (M, n_embd)."""
    if isinstance(block.config.mixer, AttentionConfig):
        return attention(block, x)
    return scan(block, x)


def _widened(n_ff: int, experts: ExpertConfig) -> ExpertConfig:
    return replace(experts, n_ff=n_ff)
