"""Qwen 3 MoE: Qwen 3's layers, with experts for their feed-forward networks.

Yang et al. 2025 (arXiv:2505.09388). The weights of a token's experts sum to 1, unless
the file says otherwise.
"""

from __future__ import annotations

from llamacy.architectures.layers import Layers, as_declared, layers_with
from llamacy.architectures.qwen3 import forward, tensors
from llamacy.config import ModelConfig

__all__ = ["forward", "layers", "tensors"]


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with its experts."""
    return layers_with(config, is_neox=True, experts=as_declared)
