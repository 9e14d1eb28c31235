"""Granite MoE: Granite's layers with experts, each as wide as a network.

IBM Granite Team 2024 (github.com/ibm-granite/granite-3.0-language-models). Some models
have a network beside the experts that all rows go through, without a gate of its own.
"""

from __future__ import annotations

from dataclasses import replace

from llamacy.architectures import granite
from llamacy.architectures.granite import forward, tensors
from llamacy.architectures.layers import Layers, layers_with
from llamacy.config import ExpertConfig, ModelConfig

__all__ = ["forward", "layers", "tensors"]


def layers(config: ModelConfig) -> Layers:
    """Return Granite's layers, with experts as wide as its networks."""
    with_experts = layers_with(config, experts=_widened)
    return tuple(
        replace(layer, feed_forward=its.feed_forward)
        for layer, its in zip(granite.layers(config), with_experts, strict=True)
    )


def _widened(n_ff: int, experts: ExpertConfig) -> ExpertConfig:
    return replace(experts, n_ff=n_ff)
