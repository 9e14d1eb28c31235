"""Tensors of a file that a family's specs do not name as they are.

Queries, keys and values may be one matrix or three in files of every family, and may
have biases; gate and up may be one matrix called `ffn_up`, those of an expert that all
rows go through `ffn_up_shexp`. Matrices may have scales. All other tensors must be
known to change nothing.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from llamacy.architectures.tensors import TensorSpec
from llamacy.errors import UnsupportedError
from llamacy.ggml.tensor import Tensor
from llamacy.printable import shown

_PARTS: Final = ("attn_q", "attn_k", "attn_v")
_WHOLE: Final = "attn_qkv"
_OF_KEYS, _OF_VALUES, _OF_BOTH = "attn_k_b", "attn_v_b", "attn_kv_b"
_GATES: Final = (".ffn_gate.weight", ".ffn_gate_shexp.weight")

# Tables of angles that the oldest files have in each layer, computed from other keys.
_HARMLESS: Final = re.compile(r"blk\.[0-9]{1,9}\.(attn_rot_embd|rope_freqs)\.weight")

# Matrices that llama.cpp reads a scale beside, and those of them that are experts.
_SCALED: Final = re.compile(
    r"output|blk\.[0-9]{1,9}\."
    r"(attn_(q|k|v|qkv|output)|ffn_(gate|up|down)(_shexp|(?P<experts>_exps))?)"
)
_SCALE: Final = re.compile(r"(blk\.[0-9]{1,9}\.)?[a-z0-9_]+\.(input_)?scale")
_MOST_SCALES: Final = 1 << 12

# Parts of a file that predict further tokens at once, see and hear, which a text's
# logits do not depend on.
_LAYER: Final = re.compile(r"(blk\.[0-9]{1,9}\.)?(.*)", re.DOTALL)
_DRAFTING: Final = ("nextn.", "mtp.")
_LEFT_OUT: Final = (*_DRAFTING, "v.", "a.", "mm.", "mmproj.")

_logger = logging.getLogger("llamacy")


def as_in_file(
    specs: Mapping[str, TensorSpec], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, TensorSpec]:
    """Return the specs of stacked matrices in the form that a file has them.

    Parameters
    ----------
    specs : mapping of str to TensorSpec
        Specs of all tensors of a model.
    shapes : mapping of str to tuple of int
        Shapes of the file's tensors, by name.
    """
    found = set(shapes)
    made: dict[str, TensorSpec] = {}
    for name, spec in specs.items():
        prefix, _, rest = name.rpartition("attn_")
        is_apart = name not in found and f"{prefix}attn_q.weight" in found
        if rest == "qkv.weight" and is_apart:
            for part, n in spec.parts:
                made[part] = TensorSpec((n, *spec.shape[1:]), True)
        elif spec.other_shape and shapes.get(name) == spec.other_shape:
            made[name] = replace(spec, shape=spec.other_shape)
        else:
            made[name] = spec
    for name in [name for name in made if name.endswith(f".{_OF_KEYS}.weight")]:
        _join_heads(name.removesuffix(f"{_OF_KEYS}.weight"), made, found)
    for name in [name for name in made if name.endswith(".attn_k.weight")]:
        _fuse(name.removesuffix("attn_k.weight"), made, found)
    for name in [name for name in made if name.endswith(".attn_qkv.weight")]:
        _allow_biases(name.removesuffix(f"{_WHOLE}.weight"), made, found)
    for name in [name for name in made if name.endswith(_GATES)]:
        _merge(name, made, shapes)
    return made | _scales(made, found)


def merged_in_file(
    name: str, specs: Mapping[str, TensorSpec], n_rows: int
) -> TensorSpec | None:
    """Return the spec of gate and up in one matrix of `n_rows`, as a file may be."""
    gate = name.replace(".ffn_up", ".ffn_gate")
    if gate == name or gate not in specs or name not in specs:
        return None
    if len(specs[name].shape) != 2:  # experts' matrices are apart in all files
        return None
    (n_gate, n_in), (n_up, _) = specs[gate].shape, specs[name].shape
    parts = ((gate, n_gate), (name, n_up))
    is_merged = n_rows == n_gate + n_up
    return TensorSpec((n_rows, n_in), True, parts=parts) if is_merged else None


def stacked_in_file(name: str, specs: Mapping[str, TensorSpec]) -> TensorSpec | None:
    """Return the spec of queries, keys and values in one matrix, as a file may be."""
    prefix = name.removesuffix(f"{_WHOLE}.weight")
    names = [f"{prefix}{part}.weight" for part in _PARTS]
    if prefix == name or not all(part in specs for part in names):
        return None
    rows = tuple((part, specs[part].shape[0]) for part in names)
    n_in = specs[names[0]].shape[1]
    return TensorSpec((sum(n for _, n in rows), n_in), True, parts=rows)


def _merge(
    gate_weight: str,
    specs: dict[str, TensorSpec],
    shapes: Mapping[str, tuple[int, ...]],
) -> None:
    """Exchange gate and up for the one matrix that the file has, and their biases."""
    for suffix in ("weight", "bias"):
        gate = gate_weight.removesuffix("weight") + suffix
        up = gate.replace("ffn_gate", "ffn_up")
        if gate in shapes or gate not in specs or up not in specs:
            continue
        (n_gate, *n_in), (n_up, *_) = specs[gate].shape, specs[up].shape
        whole = (n_gate + n_up, *n_in)
        if shapes.get(up) == whole:
            is_required = specs[up].is_required
            parts = ((gate, n_gate), (up, n_up))
            if gate_weight.replace("ffn_gate", "attn_norm_2") in shapes:
                parts = parts[::-1]  # only in Jina's model for code
            specs[up] = TensorSpec(whole, is_required, parts=parts)
            del specs[gate]


def _fuse(prefix: str, specs: dict[str, TensorSpec], found: set[str]) -> None:
    """Exchange three matrices for the one that the file has, or allow biases."""
    names = [f"{prefix}{part}.weight" for part in _PARTS]
    whole = f"{prefix}{_WHOLE}.weight"
    if whole in found and not found.intersection(names):
        stacked = stacked_in_file(whole, specs)
        assert stacked is not None
        specs[whole] = stacked
        for name in names:
            del specs[name]
        return
    for name in names:
        bias = name.replace(".weight", ".bias")
        specs.setdefault(bias, TensorSpec(specs[name].shape[:1], False))


def _join_heads(prefix: str, specs: dict[str, TensorSpec], found: set[str]) -> None:
    """Exchange matrices of single heads for the one of all that an old file has."""
    names = [f"{prefix}{part}.weight" for part in (_OF_KEYS, _OF_VALUES)]
    whole = f"{prefix}{_OF_BOTH}.weight"
    if whole not in found or found.intersection(names):
        return
    (n_head, n_in, n_k), (_, n_v, _) = (specs.pop(name).shape for name in names)
    parts = tuple(zip(names, (n_k, n_v), strict=True))
    shape = (n_head * (n_k + n_v), n_in)
    specs[whole] = TensorSpec(shape, True, parts=parts, n_head=n_head)


def _allow_biases(prefix: str, specs: dict[str, TensorSpec], found: set[str]) -> None:
    """Allow a bias of the one matrix, or three of its parts."""
    parts = specs[f"{prefix}{_WHOLE}.weight"].parts
    biases = [(name.replace(".weight", ".bias"), n) for name, n in parts]
    whole = f"{prefix}{_WHOLE}.bias"
    if whole in found and not found.intersection(name for name, _ in biases):
        n = sum(n for _, n in biases)
        is_required = any(name in specs for name, _ in biases)
        specs[whole] = TensorSpec((n,), is_required, parts=(*biases,))
        for name, _ in biases:
            specs.pop(name, None)
        return
    for name, n in biases:
        specs.setdefault(name, TensorSpec((n,), False))


def _scales(specs: Mapping[str, TensorSpec], found: set[str]) -> dict[str, TensorSpec]:
    """Return the specs of the scales that the file's matrices have.

    A matrix's products are multiplied by its scale; of experts, each has its own. In
    some families llama.cpp reads the scales of feed-forward networks and then passes
    over them; here they count in all.
    """
    scales: dict[str, TensorSpec] = {}
    for name, spec in specs.items():
        matrix = name.removesuffix(".weight")
        scaled = _SCALED.fullmatch(matrix)
        if scaled and name in found and f"{matrix}.scale" in found:
            n = spec.shape[0] if scaled["experts"] else 1
            names = tuple(part.replace(".weight", ".scale") for part, _ in spec.parts)
            scales[f"{matrix}.scale"] = TensorSpec((n,), False, names=names)
    return scales


def check_unknown(
    specs: Mapping[str, TensorSpec], tensors: Mapping[str, Tensor], path: str
) -> None:
    """Refuse tensors that a family does not have.

    Raises
    ------
    UnsupportedError
        A tensor is neither one of the family's nor known to change nothing.
    """
    left_out, further = [], _further_layers(specs, tensors)
    for name, tensor in tensors.items():
        if name in specs or _HARMLESS.fullmatch(name) or _is_idle(name, tensor, specs):
            continue
        layer, own = _parts(name)
        if layer in further or own.startswith(_LEFT_OUT):
            left_out.append(name)
            continue
        wanted = "one that the family has"
        if _SCALE.fullmatch(name):
            wanted = "no scale, or one of 1"
        raise UnsupportedError(path, "tensor", wanted, shown(name))
    if left_out:
        _logger.info(
            "%s: left out: %d tensors of other parts than the text's, %s the first",
            *(path, len(left_out), shown(left_out[0])),
        )


def _further_layers(specs: Iterable[str], names: Iterable[str]) -> set[str]:
    """Return the beginnings of names of the layers that only predict further tokens."""
    known = {layer for layer, _ in map(_parts, specs)}
    drafting = {layer for layer, own in map(_parts, names) if own.startswith(_DRAFTING)}
    return drafting - known - {""}


def _parts(name: str) -> tuple[str, str]:
    """Split a name into that of its layer, `"blk.3."`, if any, and that within it."""
    match = _LAYER.fullmatch(name)
    assert match is not None
    return match[1] or "", match[2]


def _is_idle(name: str, tensor: Tensor, specs: Mapping[str, TensorSpec]) -> bool:
    """Whether a tensor is a scale that changes nothing.

    Scales of a matrix's input are for kernels that multiply in four bits; llama.cpp
    reads them, and computes with none of them on a CPU.
    """
    if not _SCALE.fullmatch(name):
        return False
    matrix = name.removesuffix(".input_scale")
    if _SCALED.fullmatch(matrix) and f"{matrix}.weight" in specs:
        return True
    if math.prod(tensor.shape) > _MOST_SCALES:
        return False
    return bool((tensor.dequantize() == 1).all())
