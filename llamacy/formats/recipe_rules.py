"""Rules of file types: which matrices get a finer or coarser type than most.

The rules are llama.cpp's; source: its `llama-quant.cpp`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from llamacy.ggml.types import GGMLType

# Whether a rule applies: (place of the tensor, number of places) -> bool.
Where = Callable[[int, int], bool]


class Rule(NamedTuple):
    """A rule: the first that applies to a tensor decides.

    Attributes
    ----------
    kind : str
        The kind of matrix.
    where : callable
        At which places.
    type : GGMLType
        Its type.
    imatrix : bool or None
        Only with an importance matrix, or only without; None: in either case.
    """

    kind: str
    where: Where
    type: GGMLType
    imatrix: bool | None = None


def _all(_place: int, _n: int) -> bool:
    return True


def _first(n_first: int) -> Where:
    return lambda place, _n: place < n_first


def _first_part(parts: int) -> Where:
    return lambda place, n: place < n // parts


def ends_and_thirds(place: int, n: int) -> bool:
    """Choose the first and last eighth of the layers, and every third in between."""
    return place < n // 8 or place >= 7 * n // 8 or (place - n // 8) % 3 == 2


def _middle(place: int, n: int) -> bool:
    """Choose all layers but the first and last eighth."""
    return n // 8 <= place < 7 * n // 8


def _two_bits(embedding: GGMLType, finer: GGMLType, *output: GGMLType) -> list[Rule]:
    """Return the rules of the smallest file types."""
    return [
        Rule("token_embd", _all, embedding),
        Rule("attn_v", _all, finer),
        Rule("ffn_down", _first_part(8), finer),
        *(Rule("attn_output", _all, each) for each in output),
    ]


_IQ4: Final = [Rule("ffn_down", _first_part(8), GGMLType.Q5_K, imatrix=False)]
_TERNARY: Final = [Rule("token_embd", _all, GGMLType.Q4_K)]

RULES: Final[dict[str, list[Rule]]] = {
    "Q4_0": [Rule("ffn_down", _first_part(8), GGMLType.Q4_1, imatrix=True)],
    "Q5_0": [Rule("ffn_down", _first_part(8), GGMLType.Q5_1, imatrix=True)],
    "Q2_K": [
        Rule("attn_v", _all, GGMLType.Q3_K),
        Rule("attn_output", _all, GGMLType.Q3_K),
        Rule("ffn_down", _all, GGMLType.Q3_K),
    ],
    "Q2_K_S": [Rule("ffn_down", _first_part(8), GGMLType.Q4_K)],
    "Q3_K_M": [
        Rule("attn_v", _first(2), GGMLType.Q5_K),
        Rule("attn_v", _all, GGMLType.Q4_K),
        Rule("attn_output", _all, GGMLType.Q4_K),
        Rule("ffn_down", _first_part(16), GGMLType.Q5_K),
        Rule("ffn_down", _all, GGMLType.Q4_K),
    ],
    "Q3_K_L": [
        Rule("attn_v", _all, GGMLType.Q5_K),
        Rule("attn_output", _all, GGMLType.Q5_K),
        Rule("ffn_down", _all, GGMLType.Q5_K),
    ],
    "Q4_K_S": [
        Rule("attn_v", _first(4), GGMLType.Q5_K),
        Rule("ffn_down", _first_part(8), GGMLType.Q5_K),
    ],
    "Q4_K_M": [
        Rule("attn_v", ends_and_thirds, GGMLType.Q6_K),
        Rule("ffn_down", ends_and_thirds, GGMLType.Q6_K),
    ],
    "Q5_K_M": [
        Rule("attn_v", ends_and_thirds, GGMLType.Q6_K),
        Rule("ffn_down", ends_and_thirds, GGMLType.Q6_K),
    ],
    "IQ4_NL": _IQ4,
    "IQ4_XS": _IQ4,
    "IQ3_M": [
        Rule("attn_v", _all, GGMLType.Q4_K),
        Rule("attn_output", _all, GGMLType.Q4_K),
        Rule("ffn_down", _first_part(8), GGMLType.Q4_K),
    ],
    "IQ3_XS": [
        Rule("attn_q", _all, GGMLType.IQ3_XXS),
        Rule("attn_k", _all, GGMLType.IQ3_XXS),
        Rule("ffn_gate", _middle, GGMLType.IQ3_XXS),
        Rule("ffn_up", _middle, GGMLType.IQ3_XXS),
    ],
    "IQ3_XXS": [
        Rule("token_embd", _all, GGMLType.IQ3_S),
        Rule("attn_q", _all, GGMLType.IQ2_S),
        Rule("attn_k", _all, GGMLType.IQ2_S),
        Rule("attn_v", _all, GGMLType.IQ3_S, imatrix=False),
        Rule("attn_output", _all, GGMLType.IQ3_S),
        Rule("ffn_down", _first_part(8), GGMLType.Q4_K, imatrix=False),
        Rule("ffn_down", _all, GGMLType.Q3_K, imatrix=False),
    ],
    "IQ2_M": _two_bits(GGMLType.IQ3_S, GGMLType.IQ3_S, GGMLType.IQ3_S),
    "IQ2_S": _two_bits(GGMLType.IQ3_S, GGMLType.IQ3_S, GGMLType.IQ3_S),
    "IQ2_XS": _two_bits(GGMLType.Q2_K, GGMLType.Q2_K),
    "IQ2_XXS": _two_bits(GGMLType.Q2_K, GGMLType.Q2_K),
    "IQ1_M": _two_bits(GGMLType.Q2_K, GGMLType.Q2_K, GGMLType.IQ2_XXS),
    "IQ1_S": _two_bits(GGMLType.Q2_K, GGMLType.Q2_K, GGMLType.IQ2_XXS),
    "Q2_0": _TERNARY,
    "TQ1_0": _TERNARY,
    "TQ2_0": _TERNARY,
}

SMALLEST: Final = ("IQ2_M", "IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ1_M", "IQ1_S")
"""File types with rules of their own for heads that share values, and for experts."""

SHARED_VALUES: Final = {
    **dict.fromkeys(("Q2_K", "Q2_K_S", "IQ3_XXS", "IQ3_XS", "IQ3_S"), GGMLType.Q4_K),
    **dict.fromkeys(("IQ4_NL", "IQ4_XS"), GGMLType.Q5_K),
    **dict.fromkeys(SMALLEST, GGMLType.Q4_K),
}
"""Types of value projections that four or more query heads share."""

EIGHT_EXPERTS_OUTPUT: Final = dict.fromkeys(
    (
        *("Q2_K", "Q3_K_S", "Q3_K_M", "Q4_K_S", "Q4_K_M"),
        *("IQ3_XS", "IQ3_XXS", "IQ3_S", "IQ3_M", "IQ4_NL", "IQ4_XS", *SMALLEST),
    ),
    GGMLType.Q5_K,
)
"""Types of attn_output beside eight experts, where attention is a small part.

They replace the rules; other file types use their base type.
"""

FALCON: Final[dict[str, list[Rule]]] = {
    "Q3_K_M": [
        Rule("ffn_down", _first_part(16), GGMLType.Q5_K),
        Rule("ffn_down", ends_and_thirds, GGMLType.Q4_K),
    ],
    "Q3_K_L": [
        Rule("ffn_down", _all, GGMLType.Q4_K),
        Rule("attn_output", _all, GGMLType.Q4_K),
    ],
    "Q4_K_M": [
        Rule("ffn_down", _first_part(16), GGMLType.Q6_K),
        Rule("ffn_down", ends_and_thirds, GGMLType.Q5_K),
    ],
    "Q4_K_S": [],
}
"""Rules for ffn_down and attn_output of Falcon, in the place of those above."""
