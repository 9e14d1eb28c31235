"""ERNIE 4.5, dense: LLaMA's layers.

Baidu ERNIE Team 2025 (ernie.baidu.com/blog/publication/ERNIE_Technical_Report.pdf).
Rotated pairs are neighbours in the files of all formats.
"""

from llamacy.architectures.llama import forward, layers, tensors

__all__ = ["forward", "layers", "tensors"]
