"""Qwen 3 VL, without the part for images: Qwen 3's layers.

Bai et al. 2025 (arXiv:2511.21631). Positions of texts are as in `qwen2vl`. llama.cpp
leaves the last pairs unrotated, which no section covers; transformers turns them.
"""

from llamacy.architectures.qwen3 import forward, layers, tensors

__all__ = ["forward", "layers", "tensors"]
