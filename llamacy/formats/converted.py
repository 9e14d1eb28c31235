"""The result of a conversion to GGUF."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConvertedFile:
    """Describes the file that `llamacy.convert` wrote.

    Attributes
    ----------
    path : str
        The new file.
    source_format : str
        The format of the source, such as `"ggjt v1"`.
    n_params : int
        Number of weights in all tensors.
    n_bytes : int
        Size of all tensors in the new file, in bytes.
    tensor_types : dict of str to int
        Number of tensors of each type.
    n_rounded : int
        Number of block scales that were rounded from float32 to float16.
    """

    path: str
    source_format: str
    n_params: int
    n_bytes: int
    tensor_types: dict[str, int]
    n_rounded: int = 0
