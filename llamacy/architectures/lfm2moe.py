"""LFM2 with experts: its layers, and after dense first ones a router with a bias.

Liquid AI 2025 (arXiv:2511.23404): DeepSeek's sigmoid and selection bias.
"""

from __future__ import annotations

from llamacy.architectures import lfm2
from llamacy.architectures.experts import selection_bias_tensors
from llamacy.architectures.lfm2 import forward, layers, outside
from llamacy.architectures.tensors import Specs
from llamacy.config import LayerConfig, ModelConfig

__all__ = ["forward", "layers", "outside", "tensors"]


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: LFM2's, and the bias that chooses experts."""
    return lfm2.tensors(config, layer) | selection_bias_tensors(layer)
