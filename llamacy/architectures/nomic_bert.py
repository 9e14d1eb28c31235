"""Nomic BERT: BERT with rotated queries and keys, gates in its networks, few biases.

Nussbaum et al. 2024 (arXiv:2402.01613).
"""

from __future__ import annotations

from llamacy.architectures.bert import forward, outside, tensors
from llamacy.architectures.layers import Layers, layers_with
from llamacy.config import ModelConfig

__all__ = ["forward", "layers", "outside", "tensors"]


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with SwiGLU."""
    return layers_with(config, is_neox=True)
