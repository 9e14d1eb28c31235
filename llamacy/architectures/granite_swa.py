"""Granite 4.1 with windows: Granite's layers, dense or with experts, and sinks.

IBM Granite Team 2026 (huggingface.co/ibm-granite). Every fourth layer, from the first
on, sees all tokens. Files say for each layer whether it has a window, and whether it
has positions.
"""

from __future__ import annotations

from llamacy.architectures import granitemoe
from llamacy.architectures.granitemoe import forward, layers
from llamacy.architectures.tensors import Specs, required
from llamacy.config import LayerConfig, ModelConfig

__all__ = ["forward", "layers", "tensors"]


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: Granite MoE's, and one sink a head."""
    sinks = {"attn_sinks.weight": required(layer.attention.n_head)}
    return granitemoe.tensors(config, layer) | sinks
