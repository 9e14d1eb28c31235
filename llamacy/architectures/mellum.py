"""Mellum 2: Qwen 3 MoE's layers, of which three of four have windows.

JetBrains 2026 (huggingface.co/JetBrains/Mellum2-12B-A2.5B-Base). Layers with a window
have rotations of their own, which are not scaled and have the base that the file says,
as in transformers. llama.cpp 0.5.0 rotates them with the base of the other layers.
"""

from llamacy.architectures.qwen3moe import forward, layers, tensors

__all__ = ["forward", "layers", "tensors"]
