"""InternLM 2: LLaMA's layers.

Cai et al. 2024 (arXiv:2403.17297). Its own checkpoints have queries, keys and values in
one matrix, by groups of heads.
"""

from llamacy.architectures.llama import forward, layers, tensors

__all__ = ["forward", "layers", "tensors"]
