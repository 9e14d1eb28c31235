"""Qwen 3 VL with experts, without the part for images: Qwen 3 MoE's layers.

Bai et al. 2025 (arXiv:2511.21631); see `qwen3vl`.
"""

from llamacy.architectures.qwen3moe import forward, layers, tensors

__all__ = ["forward", "layers", "tensors"]
