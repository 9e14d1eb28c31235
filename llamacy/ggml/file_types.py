"""File types: names and numbers of the recipes by which models are quantised.

A file type such as `Q4_K_M` stands for a recipe: most matrices become Q4_K, and those
in which errors hurt most get a finer type. `llamacy.formats.recipes` has the rules.
Source of the numbers: `enum llama_ftype` of llama.cpp's `llama.h`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from llamacy.arguments import short
from llamacy.errors import ArgumentError
from llamacy.ggml.types import GGMLType


@dataclass(frozen=True, slots=True)
class FileType:
    """A recipe.

    Attributes
    ----------
    name : str
        Name, such as `"Q4_K_M"`.
    number : int
        Number in `general.file_type`.
    base : GGMLType
        Type of most matrices.
    """

    name: str
    number: int
    base: GGMLType


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
        FileType("IQ4_NL", 25, GGMLType.IQ4_NL),
        FileType("NVFP4", 39, GGMLType.NVFP4),
        FileType("IQ4_XS", 30, GGMLType.IQ4_XS),
        FileType("MXFP4_MOE", 38, GGMLType.MXFP4),
        FileType("Q3_K_L", 13, GGMLType.Q3_K),
        FileType("Q3_K_M", 12, GGMLType.Q3_K),
        FileType("IQ3_M", 27, GGMLType.IQ3_S),
        FileType("Q3_K_S", 11, GGMLType.Q3_K),
        FileType("IQ3_S", 26, GGMLType.IQ3_S),
        FileType("IQ3_XS", 22, GGMLType.IQ3_S),
        FileType("IQ3_XXS", 23, GGMLType.IQ3_XXS),
        FileType("Q2_K", 10, GGMLType.Q2_K),
        FileType("Q2_K_S", 21, GGMLType.Q2_K),
        FileType("IQ2_M", 29, GGMLType.IQ2_S),
        FileType("IQ2_S", 28, GGMLType.IQ2_XS),
        FileType("IQ2_XS", 20, GGMLType.IQ2_XS),
        FileType("Q2_0", 41, GGMLType.Q2_0),
        FileType("IQ2_XXS", 19, GGMLType.IQ2_XXS),
        FileType("TQ2_0", 37, GGMLType.TQ2_0),
        FileType("IQ1_M", 31, GGMLType.IQ1_M),
        FileType("TQ1_0", 36, GGMLType.TQ1_0),
        FileType("IQ1_S", 24, GGMLType.IQ1_S),
        FileType("Q1_0", 40, GGMLType.Q1_0),
    )
}
_ALIASES: Final = {
    "Q3_K": "Q3_K_M",
    "Q4_K": "Q4_K_M",
    "Q5_K": "Q5_K_M",
    "MXFP4": "MXFP4_MOE",
}


def find_file_type(name: str, *, argument: str = "type") -> FileType:
    """Find a file type by name, in upper or lower case.

    Parameters
    ----------
    name : str
        Name, or a K type's without the size: `"Q4_K"` stands for `"Q4_K_M"`.
    argument : str
        Name of the caller's argument, for errors.

    Raises
    ------
    ArgumentError
        There is no file type of that name.

    Examples
    --------
    >>> find_file_type("q4_k").name
    'Q4_K_M'
    """
    upper = name.upper() if isinstance(name, str) else ""
    known = FILE_TYPES.get(_ALIASES.get(upper, upper))
    if known is None:
        raise ArgumentError(
            f"{argument}: wanted one of {', '.join(FILE_TYPES)}, found {short(name)}"
        )
    return known


def file_type_name(metadata: Mapping[str, Any]) -> str | None:
    """Return the name of the file type that metadata state; None if unknown."""
    number = metadata.get("general.file_type")
    if not isinstance(number, int):
        return None
    names = [one.name for one in FILE_TYPES.values() if one.number == number]
    return names[0] if names else None
