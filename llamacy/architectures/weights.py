"""The tensors an architecture is made of, checked against those a file holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import FormatError

MIN_DIVISOR: Final = 1e-6  # what is divided by a smaller one may overflow


class Tensor(Protocol):
    """What is asked of a file's tensor."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes, slowest first: (n_out, n_in) or (n,)."""

    @property
    def type(self) -> Any:
        """An enum member with ggml's name of the type."""

    @property
    def data(self) -> NDArray[np.uint8]:
        """The tensor's bytes, row after row."""

    def dequantize(self) -> NDArray[np.float32]:
        """Its values."""

    def release(self) -> None:
        """Let the system drop the file's pages from memory."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """What a tensor must be.

    Attributes
    ----------
    shape : that it must have.
    is_required : whether it must be there.
    is_divisor : whether others are divided by it.
    parts : names and numbers of rows of the matrices that are stacked in it; none if
        it is one.
    """

    shape: tuple[int, ...]
    is_required: bool
    is_divisor: bool = False
    parts: tuple[tuple[str, int], ...] = ()

    def within(self, prefix: str) -> TensorSpec:
        """Put a prefix before the names of its parts."""
        parts = tuple((prefix + name, n) for name, n in self.parts)
        return replace(self, parts=parts)


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a matrix, as a tensor of their own."""

    whole: Tensor
    first: int
    n: int

    @property
    def shape(self) -> tuple[int, int]:
        """(n_out, n_in)."""
        return self.n, self.whole.shape[1]

    @property
    def type(self) -> Any:
        """That of the whole."""
        return self.whole.type

    @property
    def data(self) -> NDArray[np.uint8]:
        """The bytes of these rows."""
        rows = self.whole.data.reshape(self.whole.shape[0], -1)
        return rows[self.first : self.first + self.n].reshape(-1)

    def dequantize(self) -> NDArray[np.float32]:
        """Their values."""
        return self.whole.dequantize()[self.first : self.first + self.n]

    def release(self) -> None:
        """Release the whole; rows that are still wanted are read again."""
        self.whole.release()


def required(*shape: int) -> TensorSpec:
    """Spec of a tensor that must be there."""
    return TensorSpec(shape, True)


def optional(*shape: int) -> TensorSpec:
    """Spec of a tensor that may be missing."""
    return TensorSpec(shape, False)


def divisors(*shape: int, is_required: bool = False) -> TensorSpec:
    """Spec of a tensor that others are divided by."""
    return TensorSpec(shape, is_required, is_divisor=True)


def stacked(n_in: int, **n_rows: int) -> TensorSpec:
    """Spec of a matrix that holds those of the names given, one below the other."""
    parts = tuple((f"{name}.weight", n) for name, n in n_rows.items())
    return TensorSpec((sum(n_rows.values()), n_in), True, parts=parts)


def select_tensors(
    specs: Mapping[str, TensorSpec], tensors: Mapping[str, Tensor], path: str
) -> dict[str, Tensor]:
    """Pick the tensors that `specs` names; those stacked in others, by their own.

    Raises
    ------
    FormatError : a required tensor is missing, one has another shape, or one that is
        divided by has values that cannot be.
    """
    chosen: dict[str, Tensor] = {}
    for name, spec in specs.items():
        tensor = tensors.get(name)
        if tensor is None:
            if spec.is_required:
                raise FormatError(path, f"tensor {name}", spec.shape, "no such tensor")
            continue
        if tuple(tensor.shape) != spec.shape:
            raise FormatError(
                path, f"tensor {name}: shape", spec.shape, tuple(tensor.shape)
            )
        if spec.is_divisor:
            _check_divisors(name, tensor.dequantize(), path)
        if spec.parts:
            chosen |= _unstack(tensor, spec.parts)
        else:
            chosen[name] = tensor
    return chosen


def _unstack(tensor: Tensor, parts: tuple[tuple[str, int], ...]) -> dict[str, Tensor]:
    matrices: dict[str, Tensor] = {}
    first = 0
    for name, n in parts:
        matrices[name] = Rows(tensor, first, n)
        first += n
    return matrices


def _check_divisors(name: str, values: NDArray[np.float32], path: str) -> None:
    is_sound = np.isfinite(values) & (values >= MIN_DIVISOR)
    if not is_sound.all():
        wanted = f"finite numbers from {MIN_DIVISOR:g}"
        raise FormatError(path, f"tensor {name}", wanted, float(values[~is_sound][0]))
