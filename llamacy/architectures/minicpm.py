"""MiniCPM and MiniCPM 4: Granite's layers, with scales of their own.

Hu et al. 2024 (arXiv:2404.06395): LLaMA's layers in the parametrisation of Granite.
Old files leave the scales out: those of the first models are in `config/rules.py`.
Of LongRoPE's two sets of factors a text has the one for its length, as in OpenBMB's
code; llama.cpp takes the one for the length of its context, for all texts.
"""

from llamacy.architectures.granite import forward
from llamacy.architectures.llama import layers, tensors

__all__ = ["forward", "layers", "tensors"]
