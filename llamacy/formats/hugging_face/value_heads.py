"""Tensors of a delta rule, with heads of values in GGUF's order.

In Hugging Face's files neighbouring heads of values read one head of keys. GGUF files
of Qwen 3.5 have them in an order in which head h reads head h % n of n heads of keys;
those of Qwen3-Next in the same as Hugging Face's.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamacy.config import DeltaRuleConfig
from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.derived_tensor import DerivedTensor
from llamacy.formats.hugging_face.family import Form
from llamacy.formats.hugging_face.forms import Matrix, Vector
from llamacy.formats.model_file import ModelTensor
from llamacy.formats.safetensors.folder import Floats
from llamacy.printable import shown

Array = NDArray[Any]


def delta_rule_tensors(
    name: str,
    form: Form,
    source: Floats,
    mixer: DeltaRuleConfig,
    path: Path,
) -> list[ModelTensor]:
    """Return GGUF's tensors of a delta rule, made from one of Hugging Face's files.

    Parameters
    ----------
    name : str
        Name of the result, or of the first.
    form : Form
        How the tensor is stored.
    source : Tensor or DerivedTensor
        The tensor in Hugging Face's file.
    mixer : DeltaRuleConfig
        The layer's sizes, and the order of heads in GGUF.
    path : Path
        The folder, for errors.

    Raises
    ------
    FormatError
        The tensor's shape does not allow reordering it.
    UnsupportedError
        It is quantised in blocks that do not end with heads.
    """
    _check_shape(form, source, mixer, path)
    if form == "value_columns":
        return [_columns_in_order(name, source, mixer, path)]
    if form == "by_key_head":
        n = mixer.n_channels
        gate = name.replace("attn_qkv", "attn_gate")
        parts = partial(joined_qkv, mixer=mixer), partial(joined_gates, mixer=mixer)
        return [
            Matrix(name, source, parts[0], n),
            Matrix(gate, source, parts[1], source.shape[0] - n),
        ]
    n_before = n_of_keys(mixer) if form == "keys_and_values" else 0
    order = partial(tiled, mixer=mixer, n_before=n_before)
    if len(source.shape) == 2:
        return [Matrix(name, source, order if mixer.key_head == "modulo" else None)]
    shape = source.shape[:1] + source.shape[2:]  # squeezed, or that of a vector
    if form == "decays":
        return [Vector(name, shape, lambda: -np.exp(order(source.dequantize())))]
    return [Vector(name, shape, lambda: order(source.dequantize()))]


def n_of_keys(mixer: DeltaRuleConfig) -> int:
    """Count the rows of queries and keys, which come before those of values."""
    return 2 * mixer.n_key_head * mixer.key_dim


def tiled(rows: Array, mixer: DeltaRuleConfig, n_before: int = 0) -> Array:
    """Put heads of values in GGUF's order.

    Parameters
    ----------
    rows : (n_before + n_head * n, …)
        Rows that stay, and n of each head of values.
    mixer : DeltaRuleConfig
        The sizes, and the order in GGUF.
    n_before : int
        Rows before those of values.

    Returns
    -------
    (n_before + n_head * n, …)
        The rows in GGUF's order.
    """
    if mixer.key_head == "division":
        return rows
    n_shared = mixer.n_head // mixer.n_key_head
    values = rows[n_before:]
    heads = values.reshape(mixer.n_key_head, n_shared, -1, *rows.shape[1:])
    moved = heads.swapaxes(0, 1).reshape(values.shape)
    return np.concatenate([rows[:n_before], moved])


def joined_qkv(rows: Array, mixer: DeltaRuleConfig) -> Array:
    """Put queries before keys before values, which come by heads of keys."""
    n_values = mixer.n_head // mixer.n_key_head * mixer.value_dim
    ends = (0, mixer.key_dim, 2 * mixer.key_dim, 2 * mixer.key_dim + n_values)
    groups = rows.reshape(mixer.n_key_head, -1, *rows.shape[1:])
    return np.concatenate(
        [
            groups[:, first:end].reshape(-1, *rows.shape[1:])
            for first, end in zip(ends, ends[1:], strict=False)
        ]
    )


def joined_gates(rows: Array, mixer: DeltaRuleConfig) -> Array:
    """Return the gates, which come last of all rows of a head of keys."""
    n_values = mixer.n_head // mixer.n_key_head * mixer.value_dim
    groups = rows.reshape(mixer.n_key_head, -1, *rows.shape[1:])
    return groups[:, -n_values:].reshape(-1, *rows.shape[1:])


class _TiledColumns(DerivedTensor):
    """A matrix whose columns are heads of values, in GGUF's order."""

    def __init__(self, name: str, source: Floats, mixer: DeltaRuleConfig) -> None:
        super().__init__(name, source.type, source.shape, [source])
        self._source = source
        self._mixer = mixer

    @property
    def data(self) -> NDArray[np.uint8]:
        """The blocks, row after row: uint8, (n_bytes,), a fresh array."""
        rows = self._source.data.reshape(self.shape[0], -1)
        return np.ascontiguousarray(tiled(rows.T, self._mixer).T).reshape(-1)

    def sample(self) -> bytes:
        """Return the source's first bytes, for a fingerprint."""
        return self._source.sample()


def _columns_in_order(
    name: str, source: Floats, mixer: DeltaRuleConfig, path: Path
) -> ModelTensor:
    if mixer.key_head == "division":
        return Matrix(name, source, None)
    if mixer.value_dim % source.type.block_size:
        field = f"tensor {shown(source.name)}: type"
        wanted = f"blocks that divide heads of {mixer.value_dim}"
        raise UnsupportedError(path, field, wanted, source.type.name)
    return _TiledColumns(name, source, mixer)


def _check_shape(
    form: Form, source: Floats, mixer: DeltaRuleConfig, path: Path
) -> None:
    """Check the number of rows, or that of columns, and the number of dimensions."""
    n_values, shape = mixer.n_head * mixer.value_dim, source.shape
    wanted = {
        "values": (mixer.n_head, n_values),
        "keys_and_values": (mixer.n_channels,),
        "value_columns": (n_values,),
        "decays": (mixer.n_head,),
        "by_key_head": (mixer.n_channels + n_values,),
    }[form]
    n_dims = {"decays": (1,), "values": (1, 2), "keys_and_values": (2, 3)}
    place = int(form == "value_columns")
    is_known = len(shape) in n_dims.get(form, (2,)) and math.prod(shape[1:-1]) == 1
    if not is_known or shape[place] not in wanted:
        numbers = " or ".join(map(str, wanted))
        what = "columns" if place else "rows"
        field = f"tensor {shown(source.name)}: shape"
        raise FormatError(path, field, f"{numbers} {what}", shape)
