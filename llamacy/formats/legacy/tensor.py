"""Tensors of a model in one or several files.

Every file has the whole of each vector, but only some rows of each matrix, or some
columns of all rows. Source: `llama_load_tensor::calc_split_type` of llama.cpp, May
2023.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import FormatError
from llamacy.formats.legacy.layouts import ScaleError, gather_planes, modernise
from llamacy.formats.legacy.part import OldTensor, Part
from llamacy.formats.legacy.version import UNVERSIONED
from llamacy.ggml.types import GGMLType

EMBEDDING = "tok_embeddings.weight"
_SPLIT_BY_COLUMNS = (EMBEDDING, ".attention.wo.weight", ".feed_forward.w2.weight")
_CHUNK = 1 << 20  # weights rewritten at a time


class LegacyTensor:
    """A tensor, joined from the parts.

    Parameters
    ----------
    name : str
        Name in the files, such as `"layers.0.attention.wq.weight"`.
    parts : list of Part
        All parts in order, each with a tensor of that name and of equal type and shape.

    Attributes
    ----------
    type : GGMLType
        Type of the blocks.
    shape : tuple of int
        Sizes of the whole tensor, slowest first.
    """

    def __init__(self, name: str, parts: list[Part]) -> None:
        first = parts[0].tensors[name]
        self.name = name
        self.type: GGMLType = first.type
        self._axis = int(name.endswith(_SPLIT_BY_COLUMNS))
        self._parts = parts if len(first.shape) == 2 else parts[:1]
        shape = list(first.shape)
        if len(shape) == 2:
            shape[self._axis] *= len(parts)
        self.shape = tuple(shape)

    def blocks(self) -> tuple[NDArray[np.uint8], int]:
        """Return the blocks in the current layout.

        Returns
        -------
        blocks : uint8, (n_bytes,)
            The blocks, row after row.
        n_rounded : int
            Number of scales that were rounded to float16.

        Raises
        ------
        FormatError
            A scale is NaN, or beyond the range of float16.
        """
        shares, n_rounded = [], 0
        for part in self._parts:
            rows, n = self._rows(part, part.tensors[self.name])
            shares.append(rows)
            n_rounded += n
        if len(shares) == 1:
            return shares[0].reshape(-1), n_rounded
        return np.concatenate(shares, axis=self._axis).reshape(-1), n_rounded

    def _rows(self, part: Part, tensor: OldTensor) -> tuple[NDArray[np.uint8], int]:
        """Return the blocks of one part, uint8, (n_rows, row_bytes), and n_rounded."""
        n_rows = tensor.shape[0] if len(tensor.shape) == 2 else 1
        n_in = tensor.shape[-1]
        old = part.file.view(tensor.offset, tensor.n_bytes).reshape(n_rows, -1)
        new_bytes = n_in // self.type.block_size * self.type.type_size
        rows = np.empty((n_rows, new_bytes), np.uint8)
        step = max(1, _CHUNK // n_in)
        n_rounded = 0
        in_planes = self._has_planes(part, old[:step])
        for first in range(0, n_rows, step):
            try:
                blocks, n = self._modernise(
                    part, old[first : first + step], in_planes=in_planes
                )
            except ScaleError as error:
                field, wanted = f"tensor {self.name}", "scales that float16 can hold"
                raise FormatError(part.path, field, wanted, error) from None
            rows[first : first + step] = blocks.reshape(-1, new_bytes)
            n_rounded += n
        part.file.release(tensor.offset, tensor.n_bytes)
        return rows, n_rounded

    def _has_planes(self, part: Part, rows: NDArray[np.uint8]) -> bool:
        """Whether rows have all scales before all nibbles, as in the first days."""
        if part.version != UNVERSIONED:
            return False
        try:
            self._modernise(part, rows, in_planes=False)
        except ScaleError:
            return True
        return False

    def _modernise(
        self, part: Part, rows: NDArray[np.uint8], *, in_planes: bool
    ) -> tuple[NDArray[np.uint8], int]:
        if in_planes:
            blocks = gather_planes(rows, self.type)
        else:
            size = part.block_bytes(self.type)
            blocks = rows.reshape(rows.size // size, size)
        return modernise(blocks, self.type, part.version.era)
