"""Jina embeddings v3: XLM-RoBERTa with rotated queries and keys.

Sturua et al. 2024 (arXiv:2409.10173). The adapters of its tasks have files of their
own; a model without any is the base that they change.
"""

from __future__ import annotations

from llamacy.architectures.bert import forward, outside, tensors
from llamacy.architectures.layers import Layers, layers_with
from llamacy.config import ModelConfig

__all__ = ["forward", "layers", "outside", "tensors"]


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with GELU by erf."""
    return layers_with(config, is_neox=True, activation="gelu_erf")
