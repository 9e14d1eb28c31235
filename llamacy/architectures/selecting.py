"""A file's tensors, checked against the specs of a model, and taken apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from llamacy.architectures.head_parts import HeadRows, TurnedRows
from llamacy.architectures.other_tensors import as_in_file, check_unknown
from llamacy.architectures.tensors import TensorSpec
from llamacy.errors import FormatError
from llamacy.ggml.tensor import MappedTensor, Tensor

MIN_DIVISOR: Final = 1e-6  # dividing by a smaller one may overflow


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a matrix, or numbers of a bias, as a tensor of their own."""

    whole: Tensor
    first: int
    n: int

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_out, n_in), or (n_out,) of a bias."""
        return self.n, *self.whole.shape[1:]

    @property
    def type(self) -> Any:
        """The whole's type."""
        return self.whole.type

    @property
    def data(self) -> NDArray[np.uint8]:
        """The rows' bytes."""
        rows = self.whole.data.reshape(self.whole.shape[0], -1)
        return rows[self.first : self.first + self.n].reshape(-1)

    def dequantize(self) -> NDArray[np.float32]:
        """Return the rows' values."""
        return self.whole.dequantize()[self.first : self.first + self.n]

    def release(self) -> None:
        """Release the whole; rows that are read later come from the file again."""
        self.whole.release()


@dataclass(frozen=True, slots=True)
class Vector:
    """The rows of a matrix, mostly one, as a vector."""

    matrix: Tensor

    @property
    def shape(self) -> tuple[int]:
        """(n,)."""
        return (math.prod(self.matrix.shape),)

    @property
    def type(self) -> Any:
        """The matrix's type."""
        return self.matrix.type

    @property
    def data(self) -> NDArray[np.uint8]:
        """The bytes of the rows."""
        return self.matrix.data

    def dequantize(self) -> NDArray[np.float32]:
        """Its values."""
        return self.matrix.dequantize().reshape(-1)

    def release(self) -> None:
        """Release the matrix."""
        self.matrix.release()


def select_tensors(
    specs: Mapping[str, TensorSpec], tensors: Mapping[str, Tensor], path: str
) -> dict[str, Tensor]:
    """Pick the tensors that `specs` names; matrices stacked in one by their own names.

    Parameters
    ----------
    specs : mapping of str to TensorSpec
        Specs of all tensors of the model.
    tensors : mapping of str to Tensor
        The file's tensors.
    path : str
        The file, for errors.

    Raises
    ------
    FormatError
        A required tensor is missing, a tensor has another shape, or a divisor is not
        finite or too small.
    UnsupportedError
        A tensor that `specs` does not name, and that is not known to be harmless.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    unused = {name for name, spec in specs.items() if spec.is_unused}
    specs = as_in_file(specs, shapes)
    check_unknown(specs, tensors, path)
    chosen: dict[str, Tensor] = {}
    for name, spec in specs.items():
        tensor = tensors.get(name)
        if tensor is None:
            if spec.is_required:
                raise FormatError(path, f"tensor {name}", spec.shape, "no such tensor")
            continue
        if len(spec.shape) == 1 and tuple(tensor.shape) == (1, *spec.shape):
            tensor = Vector(tensor)  # some writers keep the one row, others do not
        if tuple(tensor.shape) != spec.shape:
            raise FormatError(
                path, f"tensor {name}: shape", spec.shape, tuple(tensor.shape)
            )
        if spec.is_flat:
            tensor = Vector(tensor)
        if spec.is_divisor:
            _check_divisors(name, tensor.dequantize(), path)
        if spec.parts:
            chosen |= _unstack(tensor, spec)
        elif not spec.is_unused:
            kept = MappedTensor(tensor) if spec.is_mapped else tensor
            chosen |= dict.fromkeys(spec.names or (name,), kept)
    return {name: each for name, each in chosen.items() if name not in unused}


def _unstack(tensor: Tensor, spec: TensorSpec) -> dict[str, Tensor]:
    matrices: dict[str, Tensor] = {}
    if spec.n_head:
        (keys, n_k), (values, n_v) = spec.parts
        of_keys = HeadRows(tensor, spec.n_head, 0, n_k)
        of_values = HeadRows(tensor, spec.n_head, n_k, n_v)
        return {keys: TurnedRows(of_keys), values: of_values}
    first = 0
    for name, n in spec.parts:
        matrices[name] = Rows(tensor, first, n)
        first += n
    return matrices


def _check_divisors(name: str, values: NDArray[np.float32], path: str) -> None:
    is_sound = np.isfinite(values) & (values >= MIN_DIVISOR)
    if not is_sound.all():
        wanted = f"finite numbers from {MIN_DIVISOR:g}"
        raise FormatError(path, f"tensor {name}", wanted, float(values[~is_sound][0]))
