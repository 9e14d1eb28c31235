"""File types: which tensor type each tensor of a quantised model gets.

A file type such as ``Q4_K_M`` is a recipe: most matrices become Q4_K, and those in
which errors hurt most become something finer. The recipes are llama.cpp's, so that a
name means the same size and quality here as there. Source: its `llama-quant.cpp`, and
for the numbers `enum llama_ftype` of `llama.h`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from llamacy.errors import ArgumentError
from llamacy.formats.ggml import GGMLType


@dataclass(frozen=True, slots=True)
class FileType:
    """A recipe's name, its number in ``general.file_type``, and its main type."""

    name: str
    number: int
    base: GGMLType


@dataclass(frozen=True, slots=True)
class Shape:
    """What recipes ask about a model.

    Attributes
    ----------
    n_layer : its layers.
    n_gqa : heads that share keys and values.
    has_output : whether it has a matrix for logits, beside that for embeddings.
    """

    n_layer: int
    n_gqa: int
    has_output: bool


FILE_TYPES: Final = {
    each.name: each
    for each in (
        FileType("F32", 0, GGMLType.F32),
        FileType("F16", 1, GGMLType.F16),
        FileType("BF16", 32, GGMLType.BF16),
        FileType("Q8_0", 7, GGMLType.Q8_0),
        FileType("Q6_K", 18, GGMLType.Q6_K),
        FileType("Q5_K_M", 17, GGMLType.Q5_K),
        FileType("Q5_K_S", 16, GGMLType.Q5_K),
        FileType("Q5_1", 9, GGMLType.Q5_1),
        FileType("Q5_0", 8, GGMLType.Q5_0),
        FileType("Q4_K_M", 15, GGMLType.Q4_K),
        FileType("Q4_K_S", 14, GGMLType.Q4_K),
        FileType("Q4_1", 3, GGMLType.Q4_1),
        FileType("Q4_0", 2, GGMLType.Q4_0),
        FileType("Q3_K_L", 13, GGMLType.Q3_K),
        FileType("Q3_K_M", 12, GGMLType.Q3_K),
        FileType("Q3_K_S", 11, GGMLType.Q3_K),
        FileType("Q2_K", 10, GGMLType.Q2_K),
    )
}
_ALIASES: Final = {"Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M"}

# In which layers a rule holds: (layer, shape) -> bool.
Where = Callable[[int, Shape], bool]


def _all(_layer: int, _shape: Shape) -> bool:
    return True


def _grouped(_layer: int, shape: Shape) -> bool:
    """Choose all, if keys and values are so few that finer ones cost little."""
    return shape.n_gqa >= 4


def _first(n: int) -> Where:
    return lambda layer, _shape: layer < n


def _first_part(n: int) -> Where:
    return lambda layer, shape: layer < shape.n_layer // n


def _ends_and_thirds(layer: int, shape: Shape) -> bool:
    """Choose the first and last eighth of the layers, and every third between."""
    eighth = shape.n_layer // 8
    return (
        layer < eighth or layer >= 7 * shape.n_layer // 8 or (layer - eighth) % 3 == 2
    )


# Finer types, by file type: (part of a layer, in which layers, type). The first rule
# that fits a tensor decides.
_RULES: Final[dict[str, list[tuple[str, Where, GGMLType]]]] = {
    "Q2_K": [
        ("attn_v", _grouped, GGMLType.Q4_K),
        ("attn_v", _all, GGMLType.Q3_K),
        ("attn_output", _all, GGMLType.Q3_K),
        ("ffn_down", _all, GGMLType.Q3_K),
    ],
    "Q3_K_M": [
        ("attn_v", _first(2), GGMLType.Q5_K),
        ("attn_v", _all, GGMLType.Q4_K),
        ("attn_output", _all, GGMLType.Q4_K),
        ("attn_qkv", _all, GGMLType.Q4_K),
        ("ffn_down", _first_part(16), GGMLType.Q5_K),
        ("ffn_down", _all, GGMLType.Q4_K),
    ],
    "Q3_K_L": [
        ("attn_v", _all, GGMLType.Q5_K),
        ("attn_output", _all, GGMLType.Q5_K),
        ("attn_qkv", _all, GGMLType.Q4_K),
        ("ffn_down", _all, GGMLType.Q5_K),
    ],
    "Q4_K_S": [
        ("attn_v", _first(4), GGMLType.Q5_K),
        ("ffn_down", _first_part(8), GGMLType.Q5_K),
    ],
    "Q4_K_M": [
        ("attn_v", _ends_and_thirds, GGMLType.Q6_K),
        ("attn_qkv", _all, GGMLType.Q5_K),
        ("ffn_down", _ends_and_thirds, GGMLType.Q6_K),
    ],
    "Q5_K_M": [
        ("attn_v", _ends_and_thirds, GGMLType.Q6_K),
        ("attn_qkv", _all, GGMLType.Q6_K),
        ("ffn_down", _ends_and_thirds, GGMLType.Q6_K),
    ],
}

# What takes a type's place where rows are not whole blocks of it.
_INSTEAD: Final = {
    GGMLType.Q2_K: GGMLType.Q4_0,
    GGMLType.Q3_K: GGMLType.Q4_0,
    GGMLType.Q4_K: GGMLType.Q5_0,
    GGMLType.Q5_K: GGMLType.Q5_1,
    GGMLType.Q6_K: GGMLType.Q8_0,
}

# Matrices that are small, or looked up, or choose between others.
_KEPT: Final = (
    *("_norm.weight", "ffn_gate_inp.weight", "ffn_gate_inp_shexp.weight"),
    *("position_embd.weight", "token_types.weight"),
)
# A layer's part; experts, routed to or shared, go by the rule for what they are, and so
# does one by itself, as old files have them.
_LAYER_PART: Final = re.compile(
    r"blk\.([0-9]+)\.(\w+?)(?:_exps|_shexp|\.[0-9]+)?\.weight"
)


def find_file_type(name: str, *, argument: str = "type") -> FileType:
    """Find a file type by its name, in small letters or large.

    >>> find_file_type("q4_k").name
    'Q4_K_M'

    Raises
    ------
    ArgumentError : there is none of that name; it names the `argument`.
    """
    upper = name.upper() if isinstance(name, str) else ""
    known = FILE_TYPES.get(_ALIASES.get(upper, upper))
    if known is None:
        raise ArgumentError(
            f"{argument}: wanted one of {', '.join(FILE_TYPES)}, found {name!r}"
        )
    return known


def file_type_name(metadata: Mapping[str, Any]) -> str | None:
    """Name the file type that a file's metadata tell by its number; None if unknown."""
    number = metadata.get("general.file_type")
    names = [one.name for one in FILE_TYPES.values() if one.number == number]
    return names[0] if names else None


def model_shape(metadata: Mapping[str, Any], names: Iterable[str]) -> Shape:
    """Count what recipes ask about, from a file's metadata and its tensors' names."""
    names = list(names)
    matches = [match for name in names if (match := _LAYER_PART.fullmatch(name))]
    prefix = f"{metadata.get('general.architecture')}.attention.head_count"
    n_head, n_head_kv = metadata.get(prefix), metadata.get(f"{prefix}_kv")
    n_gqa = 1
    if isinstance(n_head, int) and isinstance(n_head_kv, int) and n_head_kv > 0:
        n_gqa = n_head // n_head_kv
    return Shape(
        n_layer=max((int(match[1]) + 1 for match in matches), default=0),
        n_gqa=n_gqa,
        has_output="output.weight" in names,
    )


def tensor_type(
    file_type: FileType, model: Shape, name: str, shape: tuple[int, ...], now: GGMLType
) -> GGMLType:
    """Choose what a tensor becomes.

    Parameters
    ----------
    name, shape : the tensor's; sizes, slowest first.
    now : its type, which vectors and small matrices keep.

    Examples
    --------
    >>> model = Shape(n_layer=32, n_gqa=1, has_output=True)
    >>> name, shape = "blk.0.ffn_down.weight", (4096, 11008)
    >>> tensor_type(FILE_TYPES["Q4_K_M"], model, name, shape, GGMLType.F16).name
    'Q6_K'
    """
    if len(shape) < 2 or not name.endswith(".weight") or name.endswith(_KEPT):
        return now
    if file_type.base.block_size == 1:
        return file_type.base
    wanted = _wanted(file_type, model, name)
    if shape[-1] % wanted.block_size:
        wanted = _INSTEAD.get(wanted, wanted)
    return GGMLType.F16 if shape[-1] % wanted.block_size else wanted


def _wanted(file_type: FileType, model: Shape, name: str) -> GGMLType:
    """Choose by name, whatever the length of the rows."""
    logits = "output.weight" if model.has_output else "token_embd.weight"
    if name == logits:
        is_eight = file_type.base == GGMLType.Q8_0
        return GGMLType.Q8_0 if is_eight else GGMLType.Q6_K
    match = _LAYER_PART.fullmatch(name)
    if match is None:
        return file_type.base
    layer, part = int(match[1]), match[2]
    wanted = file_type.base
    for rule_part, where, finer in _RULES.get(file_type.name, []):
        if rule_part == part and where(layer, model):
            wanted = finer
            break
    # LLaMA 2 and 3 with 70 billion parameters: eight heads share each value
    is_70b = model.n_layer == 80 and model.n_gqa > 1
    if is_70b and part == "attn_v" and wanted in (GGMLType.Q3_K, GGMLType.Q4_K):
        return GGMLType.Q5_K
    return wanted
