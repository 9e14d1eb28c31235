"""The old formats and their versions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from llamacy.formats.legacy.layouts import HALVES, NEIGHBOURS, TODAY, Era
from llamacy.ggml.types import GGMLType

_FLOATS = (GGMLType.F32, GGMLType.F16)
_FOURS = (GGMLType.Q4_0, GGMLType.Q4_1)
_BLOCKS_OF_32 = (*_FOURS, GGMLType.Q5_0, GGMLType.Q5_1, GGMLType.Q8_0)
_K_TYPES = (
    GGMLType.Q2_K,
    GGMLType.Q3_K,
    GGMLType.Q4_K,
    GGMLType.Q5_K,
    GGMLType.Q6_K,
)


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the formats.

    Attributes
    ----------
    name : str
        Name and version, such as `"ggjt v1"`.
    has_scores : bool
        Whether tokens have scores.
    alignment : int
        Alignment of a tensor's first byte, in bytes.
    era : Era
        Layout of blocks.
    types : tuple of GGMLType
        Supported types of tensors.
    """

    name: str
    has_scores: bool
    alignment: int
    era: Era
    types: tuple[GGMLType, ...]


UNVERSIONED: Final = Version("ggml", False, 1, NEIGHBOURS, (*_FLOATS, *_FOURS))

# By magic, in the order of its bytes in the file, and version number.
VERSIONS: Final = {
    (b"fmgg", 1): Version("ggmf v1", True, 1, NEIGHBOURS, (*_FLOATS, *_FOURS)),
    (b"tjgg", 1): Version("ggjt v1", True, 32, NEIGHBOURS, (*_FLOATS, *_BLOCKS_OF_32)),
    (b"tjgg", 2): Version("ggjt v2", True, 32, HALVES, (*_FLOATS, *_BLOCKS_OF_32)),
    (b"tjgg", 3): Version(
        "ggjt v3", True, 32, TODAY, (*_FLOATS, *_BLOCKS_OF_32, *_K_TYPES)
    ),
}
MAGICS: Final = (b"lmgg", *sorted({magic for magic, _ in VERSIONS}))
