"""Command R7B, Command A and their kin: Command R's layers, three of four with windows.

Cohere 2024 (huggingface.co/CohereLabs/c4ai-command-r7b-12-2024). Only layers with a
window have positions.
"""

from __future__ import annotations

from llamacy.architectures.attention import attention_tensors
from llamacy.architectures.command_r import forward, layers
from llamacy.architectures.feed_forward import feed_forward_tensors
from llamacy.architectures.tensors import Specs, norm_tensors
from llamacy.config import LayerConfig, ModelConfig

__all__ = ["forward", "layers", "tensors"]


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: one norm, no biases."""
    return {
        **norm_tensors(config, "attn_norm"),
        **attention_tensors(config, layer),
        **feed_forward_tensors(config, layer),
    }
