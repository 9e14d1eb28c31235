"""Qwen 3 VL, without the part for images: Qwen 3's layers.

Bai et al. 2025 (arXiv:2511.21631). Positions of texts are as in `qwen2vl`; what the
first layers add to the residual is of images.
"""

from llamacy.architectures.qwen3 import forward, layers, tensors

__all__ = ["forward", "layers", "tensors"]
