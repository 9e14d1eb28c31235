"""Presents Hugging Face's tensors under GGUF's names and in GGUF's layouts."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping
from functools import partial
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.hugging_face.config import Config
from llamacy.formats.hugging_face.experts import PARTS, Source, is_expert, stacked
from llamacy.formats.hugging_face.families import BARE, FAMILIES, IGNORED, OUTSIDE
from llamacy.formats.hugging_face.family import Family
from llamacy.formats.hugging_face.forms import Array, Matrix, Vector
from llamacy.formats.hugging_face.images import without_images
from llamacy.formats.hugging_face.layouts import (
    add_constants,
    group_order,
    halved,
    interleaved,
    stacked_heads,
    turned,
)
from llamacy.formats.model_file import ModelTensor
from llamacy.formats.safetensors.folder import ByteTensor
from llamacy.printable import shown

IN_LAYER: Final = re.compile(r"model\.layers\.(0|[1-9][0-9]{0,8})\.(.+)")
"""Names inside a layer: its number, and the rest."""

_NAME: Final = re.compile(r"(.+)\.(weight|bias)")
# Routers: small matrices that GGUF files store in float32, and vectors that Hugging
# Face's files store as matrices of one row.
_ROWS: Final = ("ffn_gate_inp_shexp", "exp_probs_b")
_FLOATS: Final = ("ffn_gate_inp", *_ROWS)
_BIASES: Final = ("exp_probs_b",)  # of no matrix
_OF_HEAD: Final = re.compile(r"(.+\.norms)\.(0|[1-9][0-9]{0,5})\.weight")
_EMBEDDING, _HEAD = "model.embed_tokens", "lm_head"
_PIECE: Final = 1 << 24  # bytes compared at once
_N_NAMED: Final = 3  # tensors named in the log
_PARTS_OF_LAYERS: Final = frozenset(
    module
    for family in FAMILIES.values()
    for module in (*family.layer, *family.aliases)
) | {"mlp.experts", "block_sparse_moe.experts"}

_logger = logging.getLogger("llamacy")


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
        A tensor would change the model in a way that the family does not have.
    """
    tensors = without_images(tensors, config.family, path)
    tensors, constants = _without_constants(
        _named_as_usual(tensors, config.family), config.family
    )
    add_constants(constants, config, path)
    is_tied = config.is_tied and not _is_untied(tensors, path)
    translated: dict[str, ModelTensor] = {}
    places: dict[str, tuple[int, int]] = {}
    experts: defaultdict[int, dict[str, Source]] = defaultdict(dict)
    heads: defaultdict[tuple[int, str], dict[int, Source]] = defaultdict(dict)
    passed: list[str] = []
    for name, tensor in tensors.items():
        if name.endswith(IGNORED) or (is_tied and name == f"{_HEAD}.weight"):
            continue
        layer, rest = _layer_of(name)
        if layer is not None and layer >= config.sizes.n_layer:
            passed.append(name)
            continue
        is_sparse = config.experts and (layer or 0) >= config.experts.n_dense
        if layer is not None and is_sparse and is_expert(rest, config.family):
            assert config.family.mixture is not None
            rest = config.family.mixture.merged.get(rest, rest)
            experts[layer][f"model.layers.{layer}.{rest}"] = tensor
            continue
        if layer is not None and (of_head := _OF_HEAD.fullmatch(rest)):
            module = of_head[1]
            if config.family.stacked.get(module) in config.parts:
                heads[layer, module][int(of_head[2])] = tensor
                continue
        if layer is not None and _is_lacked(rest, layer, config):
            continue
        known = _translated(name, rest, layer, config, path)
        if known is None:
            passed.append(name)
            continue
        part, suffix = known
        ours = f"{part}.{suffix}" if layer is None else f"blk.{layer}.{part}.{suffix}"
        if ours in translated:
            field = f"tensor {shown(name)}"
            raise FormatError(path, field, "one of its kind", "it under two names")
        one = _tensor(ours, layer, part, tensor, config, path)
        other = config.family.halves.get(part)
        made = halved(one, ours.replace(part, other)) if other else [one]
        for each in made:
            translated[each.name] = each
            places[each.name] = _place(layer, part, config)
    for (layer, module), norms in heads.items():
        part = config.family.stacked[module]
        ours = f"blk.{layer}.{part}.weight"
        translated[ours] = stacked_heads(ours, layer, part, norms, config, path)
        places[ours] = _place(layer, part, config)
    _note_passed(passed, path)
    _check_complete(translated, config, path)
    n_dense = config.experts.n_dense if config.experts else config.sizes.n_layer
    for layer in range(n_dense, config.sizes.n_layer):
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
    family = config.family
    for theirs, ours in (*OUTSIDE.items(), *family.outside.items()):
        if ours == "output" and config.is_tied:
            continue
        is_there = theirs in OUTSIDE or ours in config.parts
        for suffix in _suffixes(theirs, ours, config) if is_there else ():
            if f"{ours}.{suffix}" in names:
                continue
            wanted = "a tensor that the family has"
            if ours == "output":
                wanted += ", as tie_word_embeddings is not true"
            field = f"tensor {family.own_name(theirs)}.{suffix}"
            raise FormatError(path, field, wanted, "none")
    for layer, (theirs, ours) in product(
        range(config.sizes.n_layer), family.layer.items()
    ):
        is_there = config.have_part(ours, layer)
        for suffix in _suffixes(theirs, ours, config) if is_there else ():
            if f"blk.{layer}.{ours}.{suffix}" not in names:
                field = f"tensor {family.own_name(f'model.layers.{layer}.{theirs}')}"
                field += f".{suffix}" if theirs not in BARE else ""
                wanted = "a tensor that config.json or the family has"
                raise FormatError(path, field, wanted, "none")


def _suffixes(module: str, part: str, config: Config) -> list[str]:
    if module in BARE:
        return [BARE[module]]
    return ["weight", "bias"] if part in config.biased else ["weight"]


def _named_as_usual(tensors: Mapping[str, Source], family: Family) -> dict[str, Source]:
    """Return tensors by the names of a whole model of most families.

    Models saved without their output matrix lack the `model.` before each name, and
    tied embeddings may be there under the output matrix's name alone.
    """
    usual = {family.usual_name(name): tensor for name, tensor in tensors.items()}
    if any(name.startswith("model.") for name in usual):
        return usual
    base = family.own_name("model.layers").removesuffix("h").removesuffix("layers")
    return {
        name
        if name.startswith(f"{_HEAD}.")
        else family.usual_name(f"{base}{name}"): tensor
        for name, tensor in usual.items()
    }


def _without_constants(
    tensors: Mapping[str, Source], family: Family
) -> tuple[dict[str, Source], dict[str, Source]]:
    """Split off the tensors that are keys in GGUF."""
    constants = {
        name: tensor
        for name, tensor in tensors.items()
        if _layer_of(name)[1] in family.layer_constants
    }
    return {name: tensors[name] for name in tensors if name not in constants}, constants


def _is_untied(tensors: dict[str, Source], path: Path) -> bool:
    """Whether a model said to be tied has an output matrix of other values.

    It keeps both then, as in transformers. A model with the output matrix alone gets
    that for its embeddings too.
    """
    embedding = tensors.get(f"{_EMBEDDING}.weight")
    head = tensors.get(f"{_HEAD}.weight")
    if head is None:
        return False
    if embedding is None:
        tensors[f"{_EMBEDDING}.weight"] = tensors.pop(f"{_HEAD}.weight")
        return False
    if _are_equal(embedding, head):
        return False
    _logger.warning(
        "%s: tie_word_embeddings is true, but %s.weight and %s.weight differ: the "
        "model keeps both, as in transformers",
        path,
        _HEAD,
        _EMBEDDING,
    )
    return True


def _are_equal(one: Source, other: Source) -> bool:
    """Compare two tensors, a piece at a time."""
    if one.shape != other.shape:
        return False
    a, b = (each.data.reshape(-1) for each in (one, other))
    try:
        return len(a) == len(b) and all(
            np.array_equal(a[at : at + _PIECE], b[at : at + _PIECE])
            for at in range(0, len(a), _PIECE)
        )
    finally:
        one.release()
        other.release()


def _note_passed(names: list[str], path: Path) -> None:
    """Name in the log the tensors that the model does not need."""
    if not names:
        return
    which = ", ".join(map(shown, names[:_N_NAMED]))
    more = f" and {len(names) - _N_NAMED} more" if len(names) > _N_NAMED else ""
    _logger.warning(
        "%s: tensors passed over that the model does not need: %s%s", path, which, more
    )


def _is_lacked(rest: str, layer: int, config: Config) -> bool:
    """Whether a tensor is of a part that its layer lacks."""
    part = config.family.layer.get(rest.rpartition(".")[0])
    return part in config.lacked[layer]


def _layer_of(name: str) -> tuple[int | None, str]:
    """Split a name into its layer, None outside the layers, and the rest."""
    match = IN_LAYER.fullmatch(name)
    return (int(match[1]), match[2]) if match is not None else (None, name)


def _translated(
    name: str, rest: str, layer: int | None, config: Config, path: Path
) -> tuple[str, str] | None:
    """Return a tensor's part and suffix in GGUF, such as `("attn_q", "weight")`.

    None stands for a tensor that changes nothing: none of a part that the family has,
    nor of a part of layers that another family computes with.
    """
    family = config.family
    known = {**OUTSIDE, **family.outside} if layer is None else family.layer
    if rest in BARE and layer is not None:
        part = known.get(family.aliases.get(rest, rest))
        if part is not None:
            return (part, BARE[rest]) if config.have_part(part, layer) else None
    match = _NAME.fullmatch(rest)
    module = family.aliases.get(match[1], match[1]) if match else rest
    part = known.get(module)
    if match and part:
        if layer is None:
            is_there = module in OUTSIDE or part in config.parts
        else:
            is_there = config.have_part(part, layer)
        if not is_there:
            return None
        if match[2] == "weight" or part in config.biased or part in _BIASES:
            return part, match[2]
        if part in family.biased or part in family.always_biased:
            return None  # config.json says that there is no bias
    elif not _changes_model(rest, known if layer is None else _PARTS_OF_LAYERS):
        return None
    wanted = f"one that the family {family.architecture} has"
    raise UnsupportedError(path, "tensor", wanted, shown(name))


def _changes_model(rest: str, modules: Iterable[str]) -> bool:
    """Whether a tensor belongs to a module that some family has, as its scale may."""
    return any(rest == each or rest.startswith(f"{each}.") for each in modules)


def _place(layer: int | None, part: str, config: Config) -> tuple[int, int]:
    """Return a tensor's rank in a forward pass: embedding, layers, output."""
    if layer is not None:
        return layer, [*config.family.layer.values(), *PARTS].index(part)
    is_first = part in ("token_embd", *config.family.outside.values())
    return -1 if is_first else config.sizes.n_layer, part == "output"


def _tensor(
    name: str,
    layer: int | None,
    part: str,
    source: Source,
    config: Config,
    path: Path,
) -> ModelTensor:
    """Return the tensor called `name`, made from one of Hugging Face's files."""
    if isinstance(source, ByteTensor):
        field = f"tensor {shown(source.name)}: dtype"
        raise UnsupportedError(path, field, "floats", source.dtype)
    n_dims = len(source.shape)
    if not 1 <= n_dims <= 2:
        wanted = "a vector or a matrix"
        raise FormatError(path, f"tensor {shown(source.name)}", wanted, source.shape)
    form = config.family.forms.get(part)
    if form == "turned" and n_dims == 2:
        return turned(name, source)
    reorder: Callable[[Array], Array] | None = None
    if form == "by_group" and layer is not None:
        reorder = group_order(source, layer, config, path)
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

    is_row = n_dims == 2 and source.shape[0] == 1 and part in _ROWS
    return Vector(name, source.shape[1:] if is_row else source.shape, values)
