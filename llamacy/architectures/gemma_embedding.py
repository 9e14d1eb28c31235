"""EmbeddingGemma: Gemma 3's layers, whose rows see all of their text.

Schechter Vera et al. 2025 (arXiv:2509.20354). A window is half before a row and half
after it. Two dense layers follow the mean of the rows.
"""

from __future__ import annotations

from llamacy.architectures.gemma3 import forward, tensors
from llamacy.architectures.layers import Layers, layers_with
from llamacy.architectures.tensors import Specs, norm_tensors
from llamacy.config import ModelConfig

__all__ = ["forward", "layers", "outside", "tensors"]


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with GEGLU."""
    return layers_with(config, is_neox=True, activation="geglu")


def outside(config: ModelConfig) -> Specs:
    """Return the spec of the last norm."""
    return norm_tensors(config, "output_norm")
