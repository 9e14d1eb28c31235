"""A tensor with its weights in another type, quantised on access.

Only a few of its rows are in memory as float32 at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import ArgumentError, FormatError
from llamacy.formats.derived_tensor import DerivedTensor
from llamacy.formats.model_file import ModelTensor
from llamacy.ggml.quantization import quantize
from llamacy.ggml.types import GGMLType, dequantize

_CHUNK: Final = 1 << 20  # weights that a thread converts at a time


class RequantizedTensor(DerivedTensor):
    """A tensor in another type.

    The attributes are those of `llamacy.formats.gguf.file.Tensor`.

    Parameters
    ----------
    source : ModelTensor
        The original tensor.
    new_type : GGMLType
        The type to convert to.
    path : Path
        The file of the original, for errors.
    threads : ThreadPoolExecutor
        The threads that convert.
    importance : float32, (n_expert or 1, n_in), optional
        How much errors matter, by column.
    """

    def __init__(
        self,
        source: ModelTensor,
        new_type: GGMLType,
        path: Path,
        threads: ThreadPoolExecutor,
        importance: NDArray[np.float32] | None = None,
    ) -> None:
        super().__init__(source.name, new_type, source.shape, [source])
        self._source = source
        self._path = path
        self._threads = threads
        self._importance = importance

    @property
    def source_type(self) -> GGMLType:
        """The type of the original."""
        return self._source.type

    @property
    def is_weighed(self) -> bool:
        """Whether it is known which of its weights matter."""
        return self._importance is not None

    @property
    def data(self) -> NDArray[np.uint8]:
        """The blocks, row after row: uint8, (n_bytes,), a fresh array.

        Raises
        ------
        FormatError
            The type cannot represent a weight.
        """
        result = np.empty(self.n_bytes, np.uint8)
        for _ in self.fill(result):
            pass
        return result

    def fill(self, result: NDArray[np.uint8]) -> Iterator[int]:
        """Write the blocks to `result`, a few rows at a time.

        Parameters
        ----------
        result : uint8, (n_bytes,)
            Receives the blocks.

        Yields
        ------
        int
            The number of weights just converted.

        Raises
        ------
        FormatError
            The type cannot represent a weight.
        """
        old = self._source
        n_in, n_rows = old.shape[-1], math.prod(old.shape[:-1])
        rows, new_rows = old.data.reshape(n_rows, -1), result.reshape(n_rows, -1)
        known = self._importance
        n_of_matrix = n_rows if known is None else n_rows // len(known)
        step = max(1, _CHUNK // n_in)

        def convert(first: int, after: int) -> int:
            part = rows[first:after]
            weights = dequantize(part.reshape(-1), old.type, (len(part), n_in))
            importance = None if known is None else known[first // n_of_matrix]
            try:
                blocks = quantize(weights, self.type, importance)
            except ArgumentError as error:
                raise self._bad_weights(weights) from error
            new_rows[first:after] = blocks.reshape(len(part), -1)
            return weights.size

        # no part has rows of two experts, whose importance differs
        parts = [
            (first, min(first + step, end))
            for end in range(n_of_matrix, n_rows + 1, n_of_matrix)
            for first in range(end - n_of_matrix, end, step)
        ]
        yield from self._threads.map(lambda part: convert(*part), parts)

    def sample(self) -> bytes:
        """Return the first bytes of the original, for a fingerprint."""
        return self._source.sample()

    def _bad_weights(self, weights: NDArray[np.float32]) -> FormatError:
        """Return the error that names this tensor and its largest weight."""
        magnitude = float(np.abs(weights).max())
        return FormatError(
            self._path,
            f"tensor {self.name}",
            f"finite weights within the range of {self.type.name}",
            f"{magnitude:g}" if math.isfinite(magnitude) else "NaN or infinity",
        )
