"""File formats: from bytes on disk to hyperparameters, named tensors and a vocabulary.

Formats know nothing of operations, kernels or model families. Files are untrusted
input: everything in a file is checked before it is used.
"""
