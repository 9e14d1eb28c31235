"""Ministral 3 and Mistral Small 3: LLaMA's layers.

Liu et al. 2026 (arXiv:2601.08584). Ministral 3's queries grow slowly with their
positions, once these are past the context of the first training: a text's softmax over
ever more keys stays as sharp as it was trained (Nakanishi 2025, arXiv:2501.19399).
"""

from llamacy.architectures.llama import forward, layers, tensors

__all__ = ["forward", "layers", "tensors"]
