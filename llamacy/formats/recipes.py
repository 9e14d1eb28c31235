"""Recipes: which tensor type each tensor of a model gets in a file type.

The recipes are llama.cpp's, so that a file type's name stands for the same size and
quality in both. Source: its `llama-quant.cpp`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from llamacy.formats.recipe_rules import (
    EIGHT_EXPERTS_OUTPUT,
    FALCON,
    RULES,
    SHARED_VALUES,
    SMALLEST,
    ends_and_thirds,
)
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
    is_falcon : bool
        Whether it is of the family Falcon.
    places : Mapping of str to int
        By tensor name, for value projections and matrices of feed-forward networks: how
        many tensors of the same kind come before it.
    """

    n_layer: int
    n_values: int
    n_gqa: int
    n_expert: int
    is_70b: bool
    has_output: bool
    is_falcon: bool
    places: Mapping[str, int]


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
    GGMLType.TQ1_0: GGMLType.Q4_0,
    GGMLType.TQ2_0: GGMLType.Q4_0,
} | dict.fromkeys(
    (
        *(GGMLType.IQ1_S, GGMLType.IQ1_M, GGMLType.IQ2_XXS, GGMLType.IQ2_XS),
        *(GGMLType.IQ2_S, GGMLType.IQ3_XXS, GGMLType.IQ3_S, GGMLType.IQ4_XS),
    ),
    GGMLType.IQ4_NL,
)

# Types that are garbage unless it is known which weights matter.
_NEED_IMATRIX: Final = frozenset(
    [
        *(GGMLType.IQ1_S, GGMLType.IQ1_M, GGMLType.IQ2_XXS, GGMLType.IQ2_XS),
        *(GGMLType.IQ2_S, GGMLType.IQ3_XXS),
    ]
)

# Matrices that are never quantised: small ones, lookup tables and routers.
_NEVER_QUANTISED: Final = re.compile(
    r"_norm\.weight|ffn_gate_inp\.weight|ffn_gate_tid2eid\.weight|position_embd"
    r"|token_types\.weight|altup|laurel|per_layer_model_proj|ssm_conv1d"
    r"|shortconv\.conv\.weight|indexer\.[kq]_proj\.weight|attn_rel_b\.weight"
    r"|sam\.pos_embd|sam\.neck\.|sam\.net_|\.rel_pos|\.patch_embd|\.patch_merger"
    r"|a\.rvq\.codebook|mm\.a\.code_embd"
    r"|time_mix_(first|[wva][012]|g[12]|decay_w[12]|lerp_fused)\.weight"
)
EMBEDDINGS: Final = ("token_embd.weight", "per_layer_token_embd.weight")
OUTPUT: Final = "output.weight"
# The kinds of matrices that llama.cpp distinguishes within a layer. Experts, routed or
# shared, count as feed-forward matrices.
_KIND: Final = re.compile(
    r"(attn_(?:qkv|kv_b|v|k|q|output))\.weight|(ffn_up)|(ffn_gate)|(ffn_down)"
)
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
    counts = {"attn_v": 0, "ffn_down": 0, "ffn_gate": 0, "ffn_up": 0}
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
        is_falcon=architecture == "falcon",
        places=places,
    )


def tensor_type(
    file_type: FileType,
    model: ModelShape,
    name: str,
    shape: tuple[int, ...],
    current: GGMLType,
    *,
    has_imatrix: bool = False,
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
    has_imatrix : bool
        Whether there is an importance matrix.

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
    if not may_change(name, shape):
        return current
    if file_type.base.block_size == 1:
        return file_type.base
    return fitting(_type_of(file_type, model, name, shape, has_imatrix), shape)


def may_change(name: str, shape: tuple[int, ...]) -> bool:
    """Whether a tensor is a matrix of those that are quantised."""
    is_vector = all(size == 1 for size in shape[:-1])
    return not is_vector and _is_quantised(name)


def fitting(chosen: GGMLType, shape: tuple[int, ...]) -> GGMLType:
    """Return a type, or the nearest one whose blocks fit into rows of that shape."""
    if shape[-1] % chosen.block_size:
        chosen = _FALLBACKS.get(chosen, chosen)
    return GGMLType.F16 if shape[-1] % chosen.block_size else chosen


def is_for_imatrix(file_type: FileType) -> bool:
    """Whether most matrices of that file type need an importance matrix."""
    return file_type.name == "Q2_K_S" or file_type.base in _NEED_IMATRIX


def needs_imatrix(file_type: FileType, name: str, chosen: GGMLType) -> bool:
    """Whether a tensor of that type is garbage without an importance matrix."""
    if name in EMBEDDINGS or name == OUTPUT:
        return False
    is_small = file_type.name == "Q2_K_S" and chosen == GGMLType.Q2_K
    return is_small or chosen in _NEED_IMATRIX


def _layer(name: str) -> int:
    """Return a tensor's layer; -1 for tensors outside the layers."""
    match = _LAYER.match(name)
    return int(match[1]) if match else -1


def _kind(name: str) -> str | None:
    if name in EMBEDDINGS:
        return "token_embd"
    match = _KIND.search(name)
    if match is None:
        return None
    kind: str = match[0].removesuffix(".weight")
    return "attn_v" if kind in _VALUES else kind


def _is_quantised(name: str) -> bool:
    return name.endswith("weight") and not _NEVER_QUANTISED.search(name)


def _type_of(
    file_type: FileType,
    model: ModelShape,
    name: str,
    shape: tuple[int, ...],
    has_imatrix: bool,
) -> GGMLType:
    """Choose a type; the rows may not be whole blocks of it."""
    if name == OUTPUT or (name in EMBEDDINGS and not model.has_output):
        return _output_type(file_type, model, shape)
    if file_type.name == "MXFP4_MOE":
        are_experts = len(shape) > 2 and math.prod(shape[:-2]) > 1
        return GGMLType.MXFP4 if are_experts else GGMLType.Q8_0
    kind = _kind(name)
    if kind == "attn_v":
        return _values_type(file_type, model, name, has_imatrix)
    if model.n_expert == 8 and kind == "attn_k":
        return GGMLType.Q4_K if file_type.name in SMALLEST else GGMLType.Q8_0
    place, n = model.places.get(name, 0), model.n_layer
    # a layer can have several matrices of a kind
    if model.n_expert > 1 and not (file_type.name in SMALLEST and kind == "ffn_down"):
        place = _layer(name)
    if model.n_expert == 8 and kind == "attn_output" and not model.is_falcon:
        return EIGHT_EXPERTS_OUTPUT.get(file_type.name, file_type.base)
    is_mixtral = model.n_expert == 8 and file_type.name == "IQ3_M"
    if is_mixtral and kind == "ffn_down" and ends_and_thirds(place, n):
        return GGMLType.Q4_K
    return _by_rules(file_type, model, kind, place, n, has_imatrix)


def _output_type(
    file_type: FileType, model: ModelShape, shape: tuple[int, ...]
) -> GGMLType:
    """Choose the type of the matrix that makes the logits."""
    is_eight = file_type.base == GGMLType.Q8_0 or file_type.name == "MXFP4_MOE"
    if is_eight or model.is_falcon or shape[-1] % file_type.base.block_size:
        return GGMLType.Q8_0
    is_five = file_type.name in SMALLEST or file_type.name == "IQ3_XXS"
    return GGMLType.Q5_K if is_five else GGMLType.Q6_K


def _values_type(
    file_type: FileType, model: ModelShape, name: str, has_imatrix: bool
) -> GGMLType:
    """Choose the type of a value projection: finer if many heads share its values."""
    is_smallest = file_type.name in SMALLEST
    if model.n_expert == 8 and not is_smallest:
        return GGMLType.Q8_0
    is_shared = model.n_gqa >= 4 or (is_smallest and model.n_expert >= 4)
    if is_shared and file_type.name in SHARED_VALUES:
        chosen = SHARED_VALUES[file_type.name]
    else:
        place, n = model.places.get(name, 0), model.n_values
        chosen = _by_rules(file_type, model, "attn_v", place, n, has_imatrix)
    is_coarse = chosen in (GGMLType.Q3_K, GGMLType.Q4_K) and not is_smallest
    return GGMLType.Q5_K if model.is_70b and is_coarse else chosen


def _by_rules(
    file_type: FileType,
    model: ModelShape,
    kind: str | None,
    place: int,
    n: int,
    has_imatrix: bool,
) -> GGMLType:
    rules = RULES.get(file_type.name, [])
    if model.is_falcon and kind == "attn_output" and file_type.name not in SMALLEST:
        rules = FALCON.get(file_type.name, [])
    elif model.is_falcon and kind == "ffn_down":
        rules = FALCON.get(file_type.name, rules)
    for rule in rules:
        applies = rule.imatrix in (None, has_imatrix)
        if rule.kind == kind and applies and rule.where(place, n):
            return rule.type
    return file_type.base
