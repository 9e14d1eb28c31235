"""Recipes: which tensor type each tensor of a model gets in a file type.

The recipes are llama.cpp's, so that a file type's name stands for the same size and
quality in both. Source: its `llama-quant.cpp`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from llamacy.ggml.file_types import FileType
from llamacy.ggml.types import GGMLType


@dataclass(frozen=True, slots=True)
class ModelShape:
    """The facts about a model on which recipes depend.

    Attributes
    ----------
    n_layer : int
        Number of layers.
    n_values : int
        Number of value projections, including fused query-key-value matrices.
    n_gqa : int
        Number of query heads per KV head.
    n_expert : int
        Experts per layer; 0 for a model that is not a mixture of experts.
    is_70b : bool
        Whether llama.cpp classes the model as 70B.
    has_output : bool
        Whether the model has an output matrix separate from the embedding.
    places : Mapping of str to int
        By tensor name, for value projections and down-projections: how many tensors of
        the same kind come before it.
    """

    n_layer: int
    n_values: int
    n_gqa: int
    n_expert: int
    is_70b: bool
    has_output: bool
    places: Mapping[str, int]


# Whether a rule applies: (place of the tensor, number of places) -> bool.
Where = Callable[[int, int], bool]


def _all(_place: int, _n: int) -> bool:
    return True


def _first(n_first: int) -> Where:
    return lambda place, _n: place < n_first


def _first_part(parts: int) -> Where:
    return lambda place, n: place < n // parts


def _ends_and_thirds(place: int, n: int) -> bool:
    """Choose the first and last eighth of the layers, and every third in between."""
    return place < n // 8 or place >= 7 * n // 8 or (place - n // 8) % 3 == 2


# Rules for finer types, by file type: (kind of matrix, its places, type). The first
# rule that matches a tensor decides.
_RULES: Final[dict[str, list[tuple[str, Where, GGMLType]]]] = {
    "Q2_K": [
        ("attn_v", _all, GGMLType.Q3_K),
        ("attn_output", _all, GGMLType.Q3_K),
        ("ffn_down", _all, GGMLType.Q3_K),
    ],
    "Q3_K_M": [
        ("attn_v", _first(2), GGMLType.Q5_K),
        ("attn_v", _all, GGMLType.Q4_K),
        ("attn_output", _all, GGMLType.Q4_K),
        ("ffn_down", _first_part(16), GGMLType.Q5_K),
        ("ffn_down", _all, GGMLType.Q4_K),
    ],
    "Q3_K_L": [
        ("attn_v", _all, GGMLType.Q5_K),
        ("attn_output", _all, GGMLType.Q5_K),
        ("ffn_down", _all, GGMLType.Q5_K),
    ],
    "Q4_K_S": [
        ("attn_v", _first(4), GGMLType.Q5_K),
        ("ffn_down", _first_part(8), GGMLType.Q5_K),
    ],
    "Q4_K_M": [
        ("attn_v", _ends_and_thirds, GGMLType.Q6_K),
        ("ffn_down", _ends_and_thirds, GGMLType.Q6_K),
    ],
    "Q5_K_M": [
        ("attn_v", _ends_and_thirds, GGMLType.Q6_K),
        ("ffn_down", _ends_and_thirds, GGMLType.Q6_K),
    ],
}

# Types of attn_output in models with eight experts, such as Mixtral, whose attention is
# a small part of the model. They replace the rules above; file types that are not
# listed use their base type.
_EIGHT_EXPERTS_OUTPUT: Final = {
    name: GGMLType.Q5_K for name in ("Q2_K", "Q3_K_S", "Q3_K_M", "Q4_K_S", "Q4_K_M")
}

# Fallbacks for rows that are not a multiple of a type's block size.
_FALLBACKS: Final = {
    GGMLType.Q2_K: GGMLType.Q4_0,
    GGMLType.Q3_K: GGMLType.Q4_0,
    GGMLType.Q4_K: GGMLType.Q5_0,
    GGMLType.Q5_K: GGMLType.Q5_1,
    GGMLType.Q6_K: GGMLType.Q8_0,
    GGMLType.NVFP4: GGMLType.Q4_0,
    GGMLType.Q2_0: GGMLType.Q4_0,
    GGMLType.Q1_0: GGMLType.Q4_0,
}

# Matrices that are never quantised: small ones, lookup tables and routers.
_NEVER_QUANTISED: Final = re.compile(
    r"_norm\.weight|ffn_gate_inp\.weight|ffn_gate_tid2eid\.weight|position_embd"
    r"|token_types\.weight|altup|laurel|per_layer_model_proj|ssm_conv1d"
    r"|shortconv\.conv\.weight|indexer\.[kq]_proj\.weight|attn_rel_b\.weight"
    r"|time_mix_(first|[wva][012]|g[12]|decay_w[12]|lerp_fused)\.weight"
)
_EMBEDDINGS: Final = ("token_embd.weight", "per_layer_token_embd.weight")
# The kinds of matrices that llama.cpp distinguishes within a layer. Experts, routed or
# shared, count as feed-forward matrices.
_KIND: Final = re.compile(r"(attn_(?:qkv|kv_b|v|k|output))\.weight|(ffn_down)")
_VALUES: Final = ("attn_qkv", "attn_kv_b", "attn_v")
_LAYER: Final = re.compile(r"blk\.([0-9]{1,9})\.")
# Architectures that have a 70B model in llama.cpp's sense, and its number of layers.
_70B: Final = {
    "llama": 80,
    "llama-embed": 80,
    "qwen2": 80,
    "deci": 80,
    "olmo": 80,
    "jais2": 68,
}


def model_shape(metadata: Mapping[str, Any], names: Iterable[str]) -> ModelShape:
    """Return a model's facts, from its metadata and the names of its tensors."""
    names = sorted(names, key=lambda name: (_layer(name), name))
    places: dict[str, int] = {}
    counts = {"attn_v": 0, "ffn_down": 0}
    for name in names:
        kind = _kind(name)
        if kind in counts and _is_quantised(name):
            places[name] = counts[kind]
            counts[kind] += 1
    architecture = metadata.get("general.architecture")

    def integer(key: str, default: int) -> int:
        value = metadata.get(f"{architecture}.{key}", default)
        if isinstance(value, np.ndarray) and value.size:
            value = value.flat[0]
        return int(value) if isinstance(value, int | np.integer) else default

    last = _layer(names[-1]) if names else -1
    n_layer = integer("block_count", last + 1)
    n_head = integer("attention.head_count", 1)
    n_head_kv = integer("attention.head_count_kv", n_head)
    is_llama = architecture in ("llama", "llama-embed")
    return ModelShape(
        n_layer=n_layer,
        n_values=counts["attn_v"],
        n_gqa=n_head // n_head_kv if n_head_kv > 0 else 0,
        n_expert=integer("expert_count", 0),
        is_70b=_70B.get(str(architecture)) == n_layer
        and not (is_llama and n_head == n_head_kv),
        has_output="output.weight" in names,
        places=places,
    )


def tensor_type(
    file_type: FileType,
    model: ModelShape,
    name: str,
    shape: tuple[int, ...],
    current: GGMLType,
) -> GGMLType:
    """Choose a tensor's type in a file type.

    Parameters
    ----------
    file_type : FileType
        The file type.
    model : ModelShape
        The facts about the model.
    name : str
        The tensor's name.
    shape : tuple of int
        Its sizes, slowest first.
    current : GGMLType
        Its current type, which vectors and small matrices keep.

    Returns
    -------
    GGMLType
        The tensor's new type.

    Examples
    --------
    >>> from llamacy.ggml.file_types import FILE_TYPES
    >>> name, shape = "blk.0.ffn_down.weight", (4096, 11008)
    >>> model = model_shape({}, [name])
    >>> tensor_type(FILE_TYPES["Q4_K_M"], model, name, shape, GGMLType.F16).name
    'Q6_K'
    """
    is_vector = all(size == 1 for size in shape[:-1])
    if is_vector or not _is_quantised(name):
        return current
    if file_type.base.block_size == 1:
        return file_type.base
    chosen = _type_by_name(file_type, model, name)
    if shape[-1] % chosen.block_size:
        chosen = _FALLBACKS.get(chosen, chosen)
    return GGMLType.F16 if shape[-1] % chosen.block_size else chosen


def _layer(name: str) -> int:
    """Return a tensor's layer; -1 for tensors outside the layers."""
    match = _LAYER.match(name)
    return int(match[1]) if match else -1


def _kind(name: str) -> str | None:
    match = _KIND.search(name)
    if match is None:
        return None
    kind: str = match[1] or match[2]
    return "attn_v" if kind in _VALUES else kind


def _is_quantised(name: str) -> bool:
    return name.endswith("weight") and not _NEVER_QUANTISED.search(name)


def _type_by_name(file_type: FileType, model: ModelShape, name: str) -> GGMLType:
    """Choose a type by name alone; the rows may not be whole blocks of it."""
    is_logits = name in _EMBEDDINGS and not model.has_output
    if is_logits or name == "output.weight":
        is_eight = file_type.base == GGMLType.Q8_0
        return GGMLType.Q8_0 if is_eight else GGMLType.Q6_K
    if name == _EMBEDDINGS[0] and file_type.name == "Q2_0":
        return GGMLType.Q4_K
    kind = _kind(name)
    if model.n_expert == 8 and kind in ("attn_v", "attn_k"):
        return GGMLType.Q8_0
    if model.n_expert == 8 and kind == "attn_output":
        return _EIGHT_EXPERTS_OUTPUT.get(file_type.name, file_type.base)
    if kind == "attn_v":
        return _values_type(file_type, model, name)
    place = model.places.get(name, 0)
    if model.n_expert > 1:  # a layer can have several down-projections
        place = _layer(name)
    return _by_rules(file_type, kind, place, model.n_layer)


def _values_type(file_type: FileType, model: ModelShape, name: str) -> GGMLType:
    """Choose the type of a value projection: finer if many heads share its values."""
    if file_type.name == "Q2_K" and model.n_gqa >= 4:
        chosen = GGMLType.Q4_K
    else:
        place = model.places.get(name, 0)
        chosen = _by_rules(file_type, "attn_v", place, model.n_values)
    is_coarse = chosen in (GGMLType.Q3_K, GGMLType.Q4_K)
    return GGMLType.Q5_K if model.is_70b and is_coarse else chosen


def _by_rules(file_type: FileType, kind: str | None, place: int, n: int) -> GGMLType:
    for rule_kind, where, finer in _RULES.get(file_type.name, []):
        if rule_kind == kind and where(place, n):
            return finer
    return file_type.base
