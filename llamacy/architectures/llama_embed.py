"""LLaMA made an encoder, as in llama-embed-nemotron: rows see all of their text.

Babakhin et al. 2025 (arXiv:2511.07025). llama.cpp has them see what is before them
alone where a file does not say that they see more; the class of these models has no
such form.
"""

from __future__ import annotations

from llamacy.architectures.gemma_embedding import outside
from llamacy.architectures.llama import forward, layers, tensors

__all__ = ["forward", "layers", "outside", "tensors"]
