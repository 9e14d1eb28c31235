"""Qwen 2 VL and Qwen 2.5 VL, without the part for images: Qwen 2's layers.

Wang et al. 2024 (arXiv:2409.12191). Sections of each head's rotations follow the time,
height and width of a place in an image. A text has the same position in all three,
which is then the rotation of other families. llama.cpp 0.5.0 reads no epsilon of norms
for this family and computes with 0; here it is the file's, as in transformers.
"""

from llamacy.architectures.qwen2 import forward, layers, tensors

__all__ = ["forward", "layers", "tensors"]
