"""Ling 2.0 and Ring 2.0: dense first layers, then experts in groups.

Ling Team 2025 (arXiv:2510.22115): the layers of dots.llm1, of whose heads only a part
is rotated. The file's width of the expert that all tokens go through is that of one of
the experts which it stands for.
"""

from __future__ import annotations

from dataclasses import replace

from llamacy.architectures.dots1 import tensors
from llamacy.architectures.layers import Layers, layers_with
from llamacy.architectures.llama import forward
from llamacy.config import ExpertConfig, ModelConfig

__all__ = ["forward", "layers", "tensors"]


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with its experts and the shared ones."""
    return layers_with(config, is_neox=True, experts=_with_shared)


def _with_shared(n_ff: int, experts: ExpertConfig) -> ExpertConfig:
    width = (experts.n_ff_shared or experts.n_ff) * experts.n_shared
    return replace(experts, n_ff_shared=width, n_shared=min(1, experts.n_shared))
