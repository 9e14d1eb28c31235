"""Layouts of tensors that some families have, turned into GGUF's."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import FormatError
from llamacy.formats.gguf.limits import MAX_SCALE
from llamacy.formats.hugging_face.config import Config
from llamacy.formats.hugging_face.expert_forms import Selection
from llamacy.formats.hugging_face.experts import Source
from llamacy.formats.hugging_face.family import Form
from llamacy.formats.hugging_face.forms import Array, Vector
from llamacy.formats.model_file import ModelTensor
from llamacy.formats.safetensors.file import DTYPES
from llamacy.formats.safetensors.folder import ByteTensor, Floats
from llamacy.ggml.types import dequantize
from llamacy.printable import shown


def turned(name: str, source: Floats) -> ModelTensor:
    """Return a matrix that is stored as (n_in, n_out), as OpenAI's GPT-2 has them."""
    n_in, n_out = source.shape
    return Selection(
        name, (n_out, n_in), source, lambda columns: columns.swapaxes(0, 1)
    )


def last_rows(name: str, source: Floats, n: int) -> ModelTensor:
    """Return the last `n` rows of a matrix."""
    n_rows, n_in = source.shape
    n = min(n, n_rows)
    return Selection(name, (n, n_in), source, lambda rows: rows[n_rows - n :])


def of_each_type(name: str, source: Floats, config: Config) -> ModelTensor:
    """Return a vector as the row of each type of tokens."""
    n_types = int(config.metadata.values["tokenizer.ggml.token_type_count"])

    def values() -> NDArray[np.float32]:
        return np.tile(source.dequantize(), (n_types, 1))

    return Vector(name, (n_types, *source.shape), values)


def halved(whole: ModelTensor, upper: str) -> list[ModelTensor]:
    """Take a matrix apart: its upper half gets the name given, the lower keeps its own.

    One with an odd number of rows is returned as it is.
    """
    n_rows, *n_in = whole.shape
    if n_rows % 2:
        return [whole]
    n = n_rows // 2
    source = cast(Floats, whole)  # in the only parts of it that are read
    return [
        Selection(upper, (n, *n_in), source, lambda rows: rows[:n]),
        Selection(whole.name, (n, *n_in), source, lambda rows: rows[n:]),
    ]


def group_order(
    source: Floats, layer: int, config: Config, path: Path
) -> Callable[[Array], Array]:
    """Return what reorders the rows of a layer's queries, keys and values.

    Raises
    ------
    FormatError
        The tensor has another number of rows.
    """
    n_head, n_head_kv = config.sizes.n_head[layer], config.sizes.n_head_kv[layer]
    n_rows = (n_head + 2 * n_head_kv) * config.sizes.head_dim
    if source.shape[0] != n_rows:
        field = f"tensor {shown(source.name)}: shape"
        raise FormatError(path, field, f"{n_rows} rows", source.shape)
    return partial(
        ungrouped,
        n_head_kv=n_head_kv,
        head_dim=config.sizes.head_dim,
        is_interleaved=config.family.is_interleaved,
    )


def ungrouped(
    rows: Array, n_head_kv: int, head_dim: int, is_interleaved: bool = False
) -> Array:
    """Put queries before keys before values, which come group by group.

    Parameters
    ----------
    rows : (n_rows, …)
        For each head of keys the heads of queries that share it, then it, then its
        values.
    n_head_kv : int
        Heads of keys.
    head_dim : int
        Rows of one head.
    is_interleaved : bool
        Whether to put rows of queries and keys side by side that are rotated together.

    Returns
    -------
    (n_rows, …)
        All queries, all keys, all values.
    """
    groups = rows.reshape(n_head_kv, -1, head_dim, *rows.shape[1:])
    parts = [
        part.reshape(-1, *rows.shape[1:])
        for part in (groups[:, :-2], groups[:, -2], groups[:, -1])
    ]
    if is_interleaved:
        parts[:2] = [interleaved(part, len(part) // head_dim) for part in parts[:2]]
    return np.concatenate(parts)


def stacked_heads(
    name: str,
    layer: int,
    part: str,
    norms: Mapping[int, Source],
    config: Config,
    path: Path,
) -> ModelTensor:
    """Return the weights of norms of single heads as one tensor, a head a row.

    Raises
    ------
    FormatError
        There are fewer or more than heads, or one is of another size.
    """
    sizes = config.sizes
    n = (sizes.n_head if part == "attn_q_norm" else sizes.n_head_kv)[layer]
    if set(norms) != set(range(n)):
        raise FormatError(path, f"tensor {name}", f"{n} norms, one a head", len(norms))
    heads: list[Floats] = []
    for number in range(n):
        head = norms[number]
        if isinstance(head, ByteTensor) or head.shape != (sizes.head_dim,):
            field = f"tensor {shown(head.name)}: shape"
            raise FormatError(path, field, f"({sizes.head_dim},) floats", head.shape)
        heads.append(head)

    def values() -> NDArray[np.float32]:
        return np.stack([head.dequantize() for head in heads])

    return Vector(name, (n, sizes.head_dim), values)


def add_constants(tensors: Mapping[str, Source], config: Config, path: Path) -> None:
    """Add the numbers that each layer has, and GGUF as keys, to the metadata.

    Parameters
    ----------
    tensors : mapping of str to Source
        Tensors of a number each, by their names.
    config : Config
        The translated config.json.
    path : Path
        The folder, for errors.

    Raises
    ------
    FormatError
        One is missing, is no number, or is too large.
    """
    family = config.family
    for theirs, key in family.layer_constants.items():
        values = []
        for layer in range(config.sizes.n_layer):
            name = f"model.layers.{layer}.{theirs}"
            source = tensors.get(name)
            if source is None:
                raise FormatError(path, f"tensor {name}", "one of the family", "none")
            value = _number(source)
            if value is None:
                found = f"{source.shape} of its type"
                raise FormatError(path, f"tensor {name}", "one number", found)
            if not abs(value) <= MAX_SCALE:
                wanted = f"a number of at most {MAX_SCALE:g}"
                raise FormatError(path, f"tensor {name}", wanted, value)
            values.append(value)
        config.metadata.reals(key, values)


def _number(source: Source) -> float | None:
    """Return the number of a tensor that has no other; None for any other tensor."""
    if not isinstance(source, ByteTensor):
        values = source.dequantize().reshape(-1)
        return float(values[0]) if len(values) == 1 else None
    type = DTYPES.get(source.dtype)  # a tensor without dimensions
    if type is None or source.shape != ():
        return None
    return float(dequantize(source.raw, type, (1,))[0])


def scan_vector(
    name: str, source: Floats, form: Form, config: Config, path: Path
) -> ModelTensor:
    """Return a vector of a scan as the column, or the rows, that GGUF has of it.

    Decays may be a matrix, which stays one.

    Raises
    ------
    FormatError
        Its groups are not equal parts of it.
    """
    n = math.prod(source.shape)
    is_matrix = len(source.shape) == 2 and min(source.shape) > 1
    shape = source.shape if is_matrix else (n, 1)
    if form == "by_scan_group":
        key = f"{config.family.architecture}.ssm.group_count"
        n_group = config.metadata.values[key]
        if n % n_group:
            field = f"tensor {shown(source.name)}: shape"
            raise FormatError(path, field, f"a multiple of {n_group}", n)
        shape = n_group, n // n_group

    def values() -> NDArray[np.float32]:
        floats: NDArray[np.float32] = source.dequantize()
        if form == "rate":
            return np.exp(floats)
        return -np.exp(floats) if form == "decay" else floats

    return Vector(name, shape, values)


def kernel(name: str, source: Floats, path: Path) -> ModelTensor:
    """Return the weights of a convolution in GGUF's form, (n_channels, 1, n_kernel).

    Raises
    ------
    FormatError
        It has another number of dimensions, or several rows a channel.
    """
    n, *between, n_kernel = source.shape if len(source.shape) > 1 else (0, 0, 0)
    if between not in ([], [1]):
        field, wanted = f"tensor {shown(source.name)}: shape", "(n, k) or (n, 1, k)"
        raise FormatError(path, field, wanted, source.shape)
    return Vector(name, (n, 1, n_kernel), source.dequantize)


def multiplied(
    name: str, source: Floats, factors: NDArray[np.float32], path: Path
) -> ModelTensor:
    """Return a matrix whose rows are multiplied, in float32.

    Raises
    ------
    FormatError
        It has another number of rows.
    """
    if len(factors) not in (1, source.shape[0]):
        field = f"tensor {shown(source.name)}: shape"
        raise FormatError(path, field, f"{len(factors)} rows", source.shape)
    return Vector(name, source.shape, lambda: source.dequantize() * factors[:, None])


def interleaved(rows: Array, n_head: int) -> Array:
    """Reorder rows so that the two dimensions of a rotation are adjacent.

    Hugging Face's LLaMA rotates dimension i of a head together with i + head_dim / 2;
    ggml's rotates 2 i together with 2 i + 1.

    Parameters
    ----------
    rows : (n_head * head_dim, …)
        Rows of a query or key matrix.
    n_head : int
        Number of its heads.

    Returns
    -------
    (n_head * head_dim, …)
        The rows in ggml's order.
    """
    pairs = rows.reshape(n_head, 2, -1, *rows.shape[1:])
    return pairs.swapaxes(1, 2).reshape(rows.shape)
