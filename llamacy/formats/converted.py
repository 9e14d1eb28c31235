"""What a conversion to GGUF has done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConvertedFile:
    """What :func:`llamacy.convert` wrote.

    Attributes
    ----------
    path : the new file.
    source_format : what the source was, ``"ggjt v1"``.
    n_params : weights of all tensors.
    n_bytes : of all tensors in the new file.
    tensor_types : how many tensors there are of each type.
    n_rounded : scales of blocks that were float32 and had to be rounded to float16.
    """

    path: str
    source_format: str
    n_params: int
    n_bytes: int
    tensor_types: dict[str, int]
    n_rounded: int = 0
