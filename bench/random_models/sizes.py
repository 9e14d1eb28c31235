"""How large a model of a shape is, and a LLaMA that reads as much for each token."""

from __future__ import annotations

import math
from typing import Final

from random_models.keys import sizes
from random_models.shape import Shape
from random_models.tensors import tensors_of

from llamacy.formats.gguf.writer import NewTensor
from llamacy.ggml.file_types import find_file_type

# Tables of which a token needs a row.
_TABLES: Final = ("per_layer_token_embd.weight", "position_embd.weight")
_HEAD_DIM: Final = 64
_UNIT: Final = 256  # of the width of networks: the largest block of a type


def tensors_in(shape: Shape, type_name: str, n_layer: int) -> list[NewTensor]:
    """List the tensors of a model of `n_layer` layers."""
    return tensors_of(shape, shape.metadata(n_layer), find_file_type(type_name))


def n_layers_within(shape: Shape, type_name: str, n_bytes: int) -> int:
    """Return the number of layers that fit into a file of `n_bytes`, at least 2.

    Where layers are of two kinds, there is one of each.
    """

    def fits(n_layer: int) -> bool:
        tensors = tensors_in(shape, type_name, n_layer)
        return sum(tensor.n_bytes for tensor in tensors) <= n_bytes

    return next(filter(fits, range(shape.n_layer, 2, -1)), 2)


def n_weights_read(shape: Shape, n_layer: int) -> float:
    """Count the weights that generating reads for each token."""
    tensors = {each.name: each.shape for each in tensors_in(shape, "F32", n_layer)}
    unread = {*_TABLES, *(["token_embd.weight"] if "output.weight" in tensors else [])}
    used = shape.keys.get(".expert_used_count", 1)  # in all layers with experts
    n_used = max(used(n_layer)) if callable(used) else used
    share = n_used / shape.keys.get(".expert_count", 1)
    return sum(
        math.prod(size) * (share if "_exps." in name else 1)
        for name, size in tensors.items()
        if name not in unread
    )


def llama_of_size(shape: Shape, n_layer: int) -> Shape:
    """Return a LLaMA of as many layers that reads as many weights for each token."""
    n_embd = shape.keys[".embedding_length"]
    n_head = n_embd // _HEAD_DIM
    n_head_kv = math.gcd(n_head, 8)

    def llama(n_ff: int) -> Shape:
        keys = sizes(n_embd, n_head, n_head_kv, _HEAD_DIM, n_ff)
        optional = tuple(name for name in shape.optional if name == "output.weight")
        return Shape("llama", n_layer, shape.n_vocab, keys, optional)

    least = n_weights_read(llama(_UNIT), n_layer)
    n_more = n_weights_read(shape, n_layer) - least
    n_units = 1 + max(0, round(n_more / (3 * n_embd * n_layer * _UNIT)))
    return llama(n_units * _UNIT)
