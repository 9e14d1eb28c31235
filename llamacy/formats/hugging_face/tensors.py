"""Presents Hugging Face's tensors under GGUF's names and in GGUF's layouts."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Mapping
from functools import partial
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import FormatError, UnsupportedError, shown
from llamacy.formats.gguf.file import Tensor
from llamacy.formats.hugging_face.config import Config
from llamacy.formats.hugging_face.experts import PARTS, Source, is_expert, stacked
from llamacy.formats.hugging_face.families import BARE, IGNORED, OUTSIDE
from llamacy.formats.hugging_face.forms import Array, Matrix, Vector
from llamacy.formats.model_file import ModelTensor

IN_LAYER: Final = re.compile(r"model\.layers\.(0|[1-9][0-9]{0,8})\.(.+)")
"""Names inside a layer: its number, and the rest."""

_NAME: Final = re.compile(r"(.+)\.(weight|bias)")
# Routers: small matrices that GGUF files store in float32, and vectors that Hugging
# Face's files store as matrices of one row.
_FLOATS: Final = ("ffn_gate_inp", "ffn_gate_inp_shexp")


def translate(
    tensors: Mapping[str, Source], config: Config, path: Path
) -> dict[str, ModelTensor]:
    """Translate tensors to GGUF's names and layouts.

    Parameters
    ----------
    tensors : Mapping of str to Source
        Tensors by Hugging Face's names.
    config : Config
        The translated config.json.
    path : Path
        The folder, for errors.

    Returns
    -------
    dict of str to ModelTensor
        Tensors by GGUF's names, in the order in which a forward pass needs them. Shapes
        are checked only where a layout depends on them.

    Raises
    ------
    FormatError
        A tensor is missing or duplicated, or its shape does not allow reordering its
        rows or separating its experts.
    UnsupportedError
        A tensor does not belong to the family.
    """
    translated: dict[str, ModelTensor] = {}
    places: dict[str, tuple[int, int]] = {}
    experts: defaultdict[int, dict[str, Source]] = defaultdict(dict)
    for name, tensor in tensors.items():
        if name.endswith(IGNORED) or (config.is_tied and name == "lm_head.weight"):
            continue
        layer, rest = _layer_of(name, config, path)
        if layer is not None and is_expert(rest, config.family):
            experts[layer][name] = tensor
            continue
        part, suffix = _translated(name, rest, layer, config, path)
        ours = f"{part}.{suffix}" if layer is None else f"blk.{layer}.{part}.{suffix}"
        if ours in translated:
            field = f"tensor {shown(name)}"
            raise FormatError(path, field, "one of its kind", "it under two names")
        translated[ours] = _tensor(ours, layer, part, tensor, config, path)
        places[ours] = _place(layer, part, config)
    _check_complete(translated, config, path)
    for layer in range(config.sizes.n_layer) if config.experts else ():
        for one in stacked(layer, experts[layer], config, path):
            translated[one.name] = one
            places[one.name] = _place(layer, one.name.split(".")[2], config)
    for name, values in config.rope_divisors.items():
        translated[name] = Vector(name, values.shape, partial(np.copy, values))
        places[name] = _place(None, "token_embd", config)
    return {
        name: translated[name] for name in sorted(translated, key=places.__getitem__)
    }


def _check_complete(names: Container[str], config: Config, path: Path) -> None:
    """Check for all tensors that the family and config.json require."""
    for theirs, ours in OUTSIDE.items():
        if f"{ours}.weight" not in names and not (ours == "output" and config.is_tied):
            wanted = "a tensor that the family has"
            if ours == "output":
                wanted += ", as tie_word_embeddings is not true"
            raise FormatError(path, f"tensor {theirs}.weight", wanted, "none")
    for layer, (theirs, ours) in product(
        range(config.sizes.n_layer), config.family.layer.items()
    ):
        suffixes = ["weight", "bias"] if ours in config.biased else ["weight"]
        for suffix in suffixes:
            if f"blk.{layer}.{ours}.{suffix}" not in names:
                field = f"tensor model.layers.{layer}.{theirs}"
                field += f".{suffix}" if theirs not in BARE else ""
                wanted = "a tensor that config.json or the family has"
                raise FormatError(path, field, wanted, "none")


def _layer_of(name: str, config: Config, path: Path) -> tuple[int | None, str]:
    """Split a name into its layer, None outside the layers, and the rest."""
    match = IN_LAYER.fullmatch(name)
    if match is None:
        return None, name
    layer = int(match[1])
    if layer >= config.sizes.n_layer:
        wanted = f"a layer below {config.sizes.n_layer}, as in num_hidden_layers"
        raise FormatError(path, "tensor", wanted, shown(name))
    return layer, match[2]


def _translated(
    name: str, rest: str, layer: int | None, config: Config, path: Path
) -> tuple[str, str]:
    """Return a tensor's part and suffix in GGUF, such as `("attn_q", "weight")`."""
    family = config.family
    known = OUTSIDE if layer is None else family.layer
    match = _NAME.fullmatch(f"{rest}.weight" if rest in BARE else rest)
    part = known.get(family.aliases.get(match[1], match[1])) if match else None
    if not match or not part or (match[2] == "bias" and part not in family.biased):
        wanted = f"one that the family {family.architecture} has"
        raise UnsupportedError(path, "tensor", wanted, shown(name))
    return part, match[2]


def _place(layer: int | None, part: str, config: Config) -> tuple[int, int]:
    """Return a tensor's rank in a forward pass: embedding, layers, output."""
    if layer is not None:
        return layer, [*config.family.layer.values(), *PARTS].index(part)
    return -1 if part == "token_embd" else config.sizes.n_layer, part == "output"


def _tensor(
    name: str,
    layer: int | None,
    part: str,
    source: Source,
    config: Config,
    path: Path,
) -> ModelTensor:
    """Return the tensor called `name`, made from one of Hugging Face's files."""
    if not isinstance(source, Tensor):
        field = f"tensor {shown(source.name)}: dtype"
        raise UnsupportedError(path, field, "floats", "bytes")
    n_dims = len(source.shape)
    if not 1 <= n_dims <= 2:
        wanted = "a vector or a matrix"
        raise FormatError(path, f"tensor {shown(source.name)}", wanted, source.shape)
    reorder = None
    heads = {"attn_q": config.sizes.n_head, "attn_k": config.sizes.n_head_kv}
    if config.family.is_interleaved and layer is not None and part in heads:
        n_head = heads[part][layer]
        n_rows = n_head * config.sizes.head_dim
        if source.shape[0] != n_rows:
            field = f"tensor {shown(source.name)}: shape"
            raise FormatError(path, field, f"{n_rows} rows", source.shape)
        reorder = partial(interleaved, n_head=n_head)
    if n_dims == 2 and part not in _FLOATS:
        return Matrix(name, source, reorder)
    offset = config.family.norm_offset if part.endswith("_norm") else 0.0

    def values() -> NDArray[np.float32]:
        floats: NDArray[np.float32] = source.dequantize()
        floats = reorder(floats) if reorder is not None else floats
        return floats + np.float32(offset) if offset else floats

    is_row = n_dims == 2 and source.shape[0] == 1 and part.endswith("_shexp")
    return Vector(name, source.shape[1:] if is_row else source.shape, values)


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
