"""Tensor types by name, as `gguf.GGUFWriter` takes them, with some younger than it."""

from __future__ import annotations

from enum import IntEnum

import gguf

from llamacy.ggml.types import GGMLType


class _Young(IntEnum):
    Q2_0 = 42


for _each in _Young:
    _kind = GGMLType(_each)
    gguf.GGML_QUANT_SIZES.setdefault(_each, (_kind.block_size, _kind.type_size))


def raw_type(name: str) -> IntEnum:
    """Return a type for the `raw_dtype` of `add_tensor`."""
    known: dict[str, IntEnum] = dict(gguf.GGMLQuantizationType.__members__)
    return known[name] if name in known else _Young[name]
