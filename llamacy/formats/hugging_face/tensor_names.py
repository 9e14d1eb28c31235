"""Names of Hugging Face's tensors, and the parts in GGUF that they name."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Final

from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.hugging_face import latent
from llamacy.formats.hugging_face.config import Config
from llamacy.formats.hugging_face.experts import Source
from llamacy.formats.hugging_face.families import BARE, FAMILIES, NORM, OUTSIDE
from llamacy.formats.hugging_face.family import Family
from llamacy.printable import shown

IN_LAYER: Final = re.compile(r"model\.layers\.(0|[1-9][0-9]{0,8})\.(.+)")
"""Names inside a layer: its number, and the rest."""

HEAD: Final = "lm_head"
"""The output matrix's name."""

_NAME: Final = re.compile(r"(.+)\.(weight|bias)")
_TASKS: Final = re.compile(r"\.parametrizations\.[a-z]+\.0\.lora_[AB]$")
_ORIGINAL: Final = re.compile(r"\.parametrizations\.([a-z]+)\.original$")
_OLD_SUFFIXES: Final = {"gamma": "weight", "beta": "bias"}
_BIASES: Final = ("exp_probs_b",)  # of no matrix
_PARTS_OF_LAYERS: Final = frozenset(
    module
    for family in FAMILIES.values()
    for module in (*family.layer, *family.aliases)
) | {"mlp.experts", "block_sparse_moe.experts"}


def named_as_usual(tensors: Mapping[str, Source], family: Family) -> dict[str, Source]:
    """Return tensors by the names of a whole model of most families.

    Models saved without their output matrix lack the `model.` before each name, and
    tied embeddings may be there under the output matrix's name alone.
    """
    usual = {
        family.usual_name(_modern(name)): tensor
        for name, tensor in tensors.items()
        if not _TASKS.search(name)
    }
    if family.idle:
        usual = {
            name: each
            for name, each in usual.items()
            if not name.startswith(family.idle)
        }
    if any(name.startswith("model.") for name in usual):
        return usual
    start = family.own_name("model.layers").rpartition(".")[0]
    return {
        name
        if name.startswith(f"{HEAD}.")
        else family.usual_name(f"{start}.{name}"): tensor
        for name, tensor in usual.items()
    }


def _modern(name: str) -> str:
    """Return the usual name of an old checkpoint's layer norm, or an adapted matrix.

    Adapters of tasks, which Jina has beside its matrices, are left out.
    """
    name = _ORIGINAL.sub(r".\1", name)
    module, _, suffix = name.rpartition(".")
    if suffix in _OLD_SUFFIXES and module.endswith("LayerNorm"):
        return f"{module}.{_OLD_SUFFIXES[suffix]}"
    return name


def layer_of(name: str) -> tuple[int | None, str]:
    """Split a name into its layer, None outside the layers, and the rest."""
    match = IN_LAYER.fullmatch(name)
    return (int(match[1]), match[2]) if match is not None else (None, name)


def full_name(layer: int | None, part: str, suffix: str) -> str:
    """Return GGUF's name of a tensor; some have no suffix."""
    name = part if layer is None else f"blk.{layer}.{part}"
    return f"{name}.{suffix}" if suffix else name


def gguf_part(
    name: str, rest: str, layer: int | None, config: Config, path: Path
) -> tuple[str, str] | None:
    """Return a tensor's part and suffix in GGUF, such as `("attn_q", "weight")`.

    None stands for a tensor that changes nothing: none of a part that the family has,
    nor of a part of layers that another family computes with.
    """
    family = config.family
    known = _outside(family) if layer is None else config.parts_of(layer)
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
            is_bare = family.forms.get(part) == "bare"
            return part, "" if is_bare else match[2]
        if part in family.biased or part in family.always_biased:
            return None  # config.json says that there is no bias
    elif not _changes_model(rest, known if layer is None else _PARTS_OF_LAYERS):
        return None
    wanted = f"one that the family {family.architecture} has"
    raise UnsupportedError(path, "tensor", wanted, shown(name))


def _outside(family: Family) -> dict[str, str]:
    """Return the names of a family's parts outside the layers."""
    parts = {**OUTSIDE, NORM: family.output_norm, **family.outside}
    return {name: each for name, each in parts.items() if each not in family.without}


def _changes_model(rest: str, modules: Iterable[str]) -> bool:
    """Whether a tensor belongs to a module that some family has, as its scale may."""
    return any(rest == each or rest.startswith(f"{each}.") for each in modules)


def is_bare(names: Container[str], family: Family) -> bool:
    """Whether a model was saved without its output matrix: one that embeds texts."""
    return family.own_name("model.embed_tokens.weight") not in names


def check_complete(
    names: Container[str], config: Config, path: Path, *, may_lack_head: bool
) -> None:
    """Check for all tensors that the family and config.json require."""
    family = config.family
    for theirs, ours in _outside(family).items():
        if ours == "output" and may_lack_head:
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
    for layer in range(config.sizes.n_layer):
        _check_layer(layer, names, config, path)


def _check_layer(layer: int, names: Container[str], config: Config, path: Path) -> None:
    for theirs, ours in config.parts_of(layer).items():
        is_there = config.have_part(ours, layer)
        for suffix in _suffixes(theirs, ours, config) if is_there else ():
            made = latent.PARTS[0] if ours == latent.OF_BOTH else ours
            if full_name(layer, made, suffix) not in names:
                whole = config.family.own_name(f"model.layers.{layer}.{theirs}")
                field = f"tensor {whole}" + ("" if theirs in BARE else f".{suffix}")
                wanted = "a tensor that config.json or the family has"
                raise FormatError(path, field, wanted, "none")


def _suffixes(module: str, part: str, config: Config) -> list[str]:
    if module in BARE:
        return [BARE[module]]
    if config.family.forms.get(part) == "bare":
        return [""]
    return ["weight", "bias"] if part in config.biased else ["weight"]
