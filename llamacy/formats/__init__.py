"""File formats: bytes on disk to hyperparameters, named tensors and a vocabulary.

A format knows nothing of operations, kernels or model families. Everything in a
file is checked before it is used, since files come from strangers.
"""
