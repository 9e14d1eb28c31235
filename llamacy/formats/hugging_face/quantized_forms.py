"""Matrices of a quantised folder, as floats or in a type of ggml's.

The attributes of each class are those of `llamacy.formats.gguf.file.Tensor`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import ArgumentError, FormatError
from llamacy.formats.derived_tensor import DerivedTensor, Releasable
from llamacy.formats.hugging_face.quantization import Scheme
from llamacy.formats.hugging_face.quantized_codes import Rows
from llamacy.formats.model_file import SAMPLE_BYTES
from llamacy.formats.safetensors.folder import ByteTensor
from llamacy.ggml.quantization import quantize
from llamacy.ggml.types import GGMLType, dequantize
from llamacy.printable import shown

BLOCK: Final = 32
"""Weights of a block of Q4_0 and Q8_0."""

_PIECE: Final = 1 << 20  # weights converted at a time


class Codes(NamedTuple):
    """The weights of a matrix before scaling.

    Attributes
    ----------
    tensor : ByteTensor
        The bytes, row after row.
    shape : tuple of int
        (n_out, n_in) of the matrix.
    decode : Rows
        Turns rows of bytes into weights.
    scheme : Scheme
        How they are quantised.
    """

    tensor: ByteTensor
    shape: tuple[int, int]
    decode: Rows
    scheme: Scheme

    def rows(self, first: int, last: int) -> NDArray[Any]:
        """Return the weights of some rows: float32 or int8, (last - first, n_in)."""
        return self.decode(self.tensor.raw.reshape(self.shape[0], -1)[first:last])


class Scales(NamedTuple):
    """The scales of a matrix.

    Attributes
    ----------
    values : callable
        Returns them, one a block: float32, of the grid of the scheme.
    type : GGMLType or None
        Type to which their products with weights are rounded first; None for none.
    zeros : callable or None
        Returns the zero points likewise; None without any.
    sources : tuple of Releasable
        The tensors that hold scales and zero points.
    """

    values: Callable[[], NDArray[np.float32]]
    type: GGMLType | None
    zeros: Callable[[], NDArray[np.float32]] | None
    sources: tuple[Releasable, ...]


class ScaledFloats(DerivedTensor):
    """A quantised matrix as floats.

    Parameters
    ----------
    name : str
        Name of the result.
    type : GGMLType
        Type of the result: F32, F16 or BF16.
    codes : Codes
        Its weights.
    scales : Scales
        Its scales.
    path : Path
        The folder, for errors.
    """

    def __init__(
        self, name: str, type: GGMLType, codes: Codes, scales: Scales, path: Path
    ) -> None:
        super().__init__(name, type, codes.shape, [codes.tensor, *scales.sources])
        self._codes = codes
        self._scales = scales
        self._path = path

    @property
    def data(self) -> NDArray[np.uint8]:
        """The values, row after row: uint8, (n_bytes,), a fresh array.

        Raises
        ------
        ClosedError
            The file was closed.
        FormatError
            A weight is NaN, infinite, or outside of the range of the type.
        """
        n_rows, n_in = self._codes.shape
        result = np.empty(self.n_bytes, np.uint8)
        by_rows, step = result.reshape(n_rows, -1), max(1, _PIECE // n_in)
        scales = self._scales.values()
        zeros = self._scales.zeros() if self._scales.zeros is not None else None
        for first in range(0, n_rows, step):
            last = min(first + step, n_rows)
            weights = self._codes.rows(first, last).astype(np.float32, copy=False)
            if zeros is not None:
                weights = weights - self._spread(zeros, first, last)
            with np.errstate(over="ignore", invalid="ignore"):
                weights = weights * self._spread(scales, first, last)
            by_rows[first:last] = self._rounded(weights).reshape(last - first, -1)
        return result

    def sample(self) -> bytes:
        """Return the first weights and scales, for a fingerprint."""
        return _sample(self._codes, self._scales)

    def _spread(
        self, values: NDArray[np.float32], first: int, last: int
    ) -> NDArray[np.float32]:
        """Return the values of each weight of some rows, or of each row."""
        scheme = self._codes.scheme
        rows = np.arange(first, last) // (scheme.n_rows or self._codes.shape[0])
        of_rows = values[rows]
        if not scheme.n_columns:
            return of_rows
        return of_rows.repeat(scheme.n_columns, axis=1)[:, : self._codes.shape[1]]

    def _rounded(self, weights: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Round as transformers does: to the type of the scales, then to the result's.

        Parameters
        ----------
        weights : float32, (n_rows, n_in)
            Exact products, or those nearest to them.
        """
        between = self._scales.type
        try:
            if between is not None and between != self.type:
                data = quantize(weights, between)
                weights = dequantize(data, between, weights.shape)
            return quantize(weights, self.type)
        except ArgumentError as error:
            wanted = f"finite weights within the range of {self.type.name}"
            magnitude = np.abs(weights).max()
            found = f"{magnitude:g}" if np.isfinite(magnitude) else "NaN or infinity"
            field = f"tensor {shown(self.name)}"
            raise FormatError(self._path, field, wanted, found) from error


class ScaledBlocks(DerivedTensor):
    """Symmetric integers as Q4_0 or Q8_0, with the file's own integers and scales.

    Each block has the scale of its row or group, which float16 must represent.

    Parameters
    ----------
    name : str
        Name of the result.
    codes : Codes
        Its weights: int8, and rows and groups of them are whole blocks.
    scales : Scales
        Its scales.
    """

    def __init__(self, name: str, codes: Codes, scales: Scales) -> None:
        type = GGMLType.Q4_0 if codes.scheme.n_bits == 4 else GGMLType.Q8_0
        if codes.tensor.dtype == "I8":
            type = GGMLType.Q8_0  # int8 may hold more than the 4 bits that it should
        super().__init__(name, type, codes.shape, [codes.tensor, *scales.sources])
        self._codes = codes
        self._scales = scales

    @property
    def data(self) -> NDArray[np.uint8]:
        """The blocks, row after row: uint8, (n_bytes,), a fresh array.

        Raises
        ------
        ClosedError
            The file was closed.
        """
        n_rows, n_in = self._codes.shape
        n_blocks, step = n_in // BLOCK, max(1, _PIECE // n_in)
        result = np.empty((n_rows, n_blocks, self.type.type_size), np.uint8)
        scales = self._scales.values().astype("<f2")
        if scales.shape[0] == 1:
            scales = scales.repeat(n_rows, axis=0)
        scales = scales.repeat(n_blocks // scales.shape[1], axis=1)
        result[..., :2] = scales[..., None].view(np.uint8)
        for first in range(0, n_rows, step):
            last = min(first + step, n_rows)
            codes = self._codes.rows(first, last).reshape(-1, n_blocks, BLOCK)
            result[first:last, :, 2:] = self._packed(codes.view(np.uint8))
        return result.reshape(-1)

    def sample(self) -> bytes:
        """Return the first weights and scales, for a fingerprint."""
        return _sample(self._codes, self._scales)

    def _packed(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self.type is GGMLType.Q8_0:
            return codes
        nibbles = codes + np.uint8(8)  # from 0 to 15, as the sum wraps around
        return nibbles[..., :16] | nibbles[..., 16:] << np.uint8(4)


def _sample(codes: Codes, scales: Scales) -> bytes:
    start = codes.tensor.raw[: SAMPLE_BYTES // 2].tobytes()
    return start + scales.values().reshape(-1)[: SAMPLE_BYTES // 8].tobytes()
