"""Mistral Small 4: DeepSeek's latent attention and experts, with gates of a softmax.

Groups of experts are chosen by the sum of their two best. As in Mistral 3, queries grow
slowly with their positions, once these are past the context of the first training.
"""

from __future__ import annotations

from dataclasses import replace

from llamacy.architectures.deepseek2 import forward, tensors
from llamacy.architectures.layers import Layers, layers_with, with_shared
from llamacy.config import ExpertConfig, ModelConfig

__all__ = ["forward", "layers", "tensors"]


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with its experts and the shared one."""

    def experts(n_ff: int, experts: ExpertConfig) -> ExpertConfig:
        return replace(with_shared(n_ff, experts), n_best=2)

    return layers_with(config, experts=experts)
