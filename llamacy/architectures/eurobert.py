"""EuroBERT: LLaMA's layers, whose rows see all of their text.

Boizard et al. 2025 (arXiv:2503.05500).
"""

from __future__ import annotations

from llamacy.architectures.gemma_embedding import outside
from llamacy.architectures.llama import forward, tensors
from llamacy.architectures.qwen2 import layers

__all__ = ["forward", "layers", "outside", "tensors"]
