"""Hunyuan A13B: experts in all layers, and one as wide that all tokens go through.

Tencent 2025 (huggingface.co/tencent/Hunyuan-A13B-Instruct). Queries and keys are normed
after they are rotated. Experts are as wide as the network of the file.
"""

from __future__ import annotations

from dataclasses import replace

from llamacy.architectures.hunyuan_dense import forward
from llamacy.architectures.layers import Layers, layers_with
from llamacy.architectures.qwen3 import tensors
from llamacy.config import ExpertConfig, ModelConfig

__all__ = ["forward", "layers", "tensors"]


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with experts as wide as its networks."""
    return layers_with(config, is_neox=True, experts=_widened)


def _widened(n_ff: int, experts: ExpertConfig) -> ExpertConfig:
    return replace(experts, n_ff=n_ff, n_ff_shared=experts.n_ff_shared or n_ff)
