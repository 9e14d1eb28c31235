"""SmolLM3: LLaMA's layers, of which every fourth has no positions.

Bakouch et al. 2025 (huggingface.co/blog/smollm3); without positions, Kazemnejad et al.
2023 (arXiv:2305.19466). Which layers these are is in `config/rules.py`.
"""

from llamacy.architectures.llama import forward, layers, tensors

__all__ = ["forward", "layers", "tensors"]
