"""Arcee's AFM: LLaMA's layers with a squared ReLU and no gate.

Arcee AI 2025 (huggingface.co/arcee-ai/AFM-4.5B). The activation is Primer's (So et al.
2021, arXiv:2109.08668).
"""

from __future__ import annotations

from llamacy.architectures.layers import Layers, layers_with
from llamacy.architectures.llama import forward, tensors
from llamacy.config import ModelConfig

__all__ = ["forward", "layers", "tensors"]


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with the squared ReLU."""
    return layers_with(config, activation="relu_squared")
