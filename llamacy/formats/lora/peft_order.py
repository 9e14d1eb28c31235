"""Adapters of matrices whose rows or columns GGUF has in another order."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llamacy.config import (
    AttentionConfig,
    DeltaRuleConfig,
    LayerConfig,
    ModelConfig,
)
from llamacy.errors import FormatError
from llamacy.formats.hugging_face.family import Family
from llamacy.formats.hugging_face.layouts import interleaved, ungrouped
from llamacy.formats.hugging_face.value_heads import (
    joined_gates,
    joined_qkv,
    n_of_keys,
    tiled,
)
from llamacy.formats.lora import Pair

Floats = NDArray[np.float32]


def in_gguf_order(
    path: Path, name: str, pair: Pair, family: Family, config: ModelConfig
) -> dict[str, Pair]:
    """Return an adapter's pair as GGUF orders the rows and columns of its matrix.

    Parameters
    ----------
    path : Path
        The file, for errors.
    name : str
        GGUF's name of the matrix.
    pair : Pair
        A and B as PEFT saves them.
    family : Family
        The model's family.
    config : ModelConfig
        The model, complete.

    Returns
    -------
    dict of str to Pair
        One, or the pairs of two matrices that are one in Hugging Face's files.

    Raises
    ------
    FormatError
        There is no such layer, or the matrix has another size.
    """
    part = name.split(".")[-2]
    is_query = part == "attn_q"
    if family.is_interleaved and (is_query or part == "attn_k"):
        mixer = attention_of(path, name, config)
        n_head = mixer.n_head if is_query else mixer.n_head_kv
        n_rows = n_head * mixer.head_dim
        order = partial(interleaved, n_head=n_head)
        return {name: _reordered(path, name, pair, n_rows, order)}
    form = family.forms.get(part)
    if form == "by_group":
        mixer = attention_of(path, name, config)
        n_rows = (mixer.n_head + 2 * mixer.n_head_kv) * mixer.head_dim
        reorder = partial(
            ungrouped,
            n_head_kv=mixer.n_head_kv,
            head_dim=mixer.head_dim,
            is_interleaved=family.is_interleaved,
        )
        return {name: _reordered(path, name, pair, n_rows, reorder)}
    if form in ("values", "keys_and_values", "value_columns", "by_key_head"):
        rule = _layer(path, name, config).mixer
        if not isinstance(rule, DeltaRuleConfig):
            wanted = "one of a layer with a delta rule"
            raise FormatError(path, f"tensor {name}.lora_b", wanted, "attention")
        return _of_delta_rule(path, name, pair, form, rule)
    return {name: pair}


def _of_delta_rule(
    path: Path, name: str, pair: Pair, form: str, mixer: DeltaRuleConfig
) -> dict[str, Pair]:
    """Reorder what belongs to heads of values: rows of B, or columns of A."""
    n_values = mixer.n_head * mixer.value_dim
    if form == "value_columns":
        if pair.a.ndim != 2 or pair.a.shape[1] != n_values:
            wanted = f"{n_values} columns, like the model's matrix"
            raise FormatError(
                path, f"tensor {name}.lora_a: shape", wanted, pair.a.shape
            )
        a = np.ascontiguousarray(tiled(pair.a.T, mixer).T)
        return {name: pair._replace(a=a)}
    if form == "by_key_head":
        n_rows = mixer.n_channels + n_values
        gate = name.replace("attn_qkv", "attn_gate")
        return {
            ours: _reordered(path, name, pair, n_rows, partial(select, mixer=mixer))
            for ours, select in ((name, joined_qkv), (gate, joined_gates))
        }
    n_before, n_rows = 0, n_values
    if form == "keys_and_values":
        n_before, n_rows = n_of_keys(mixer), mixer.n_channels
    elif not name.endswith("attn_gate.weight"):
        n_rows = mixer.n_head
    order = partial(tiled, mixer=mixer, n_before=n_before)
    return {name: _reordered(path, name, pair, n_rows, order)}


def attention_of(path: Path, name: str, config: ModelConfig) -> AttentionConfig:
    """Return the attention of the layer that a matrix is of.

    Raises
    ------
    FormatError
        There is no such layer.
    """
    return _layer(path, name, config).attention


def _layer(path: Path, name: str, config: ModelConfig) -> LayerConfig:
    layer = int(name.split(".")[1])
    if layer >= config.n_layer:
        wanted = f"a layer below {config.n_layer}"
        raise FormatError(path, f"tensor {name}.lora_b", wanted, layer)
    return config.layers[layer]


def _reordered(
    path: Path,
    name: str,
    pair: Pair,
    n_rows: int,
    reorder: Callable[[Floats], Floats],
) -> Pair:
    """Reorder the rows of B, and the magnitudes of as many."""
    b, magnitude = pair.b, pair.magnitude
    if b.ndim != 2 or b.shape[0] != n_rows:
        wanted = f"{n_rows} rows, like the model's matrix"
        raise FormatError(path, f"tensor {name}.lora_b: shape", wanted, b.shape)
    if magnitude is not None and magnitude.shape == (n_rows,):
        magnitude = reorder(magnitude)
    return pair._replace(b=reorder(b), magnitude=magnitude)
