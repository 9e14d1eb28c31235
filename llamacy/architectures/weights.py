"""The tensors an architecture is made of, checked against those a file holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import FormatError

MIN_DIVISOR: Final = 1e-6  # what is divided by a smaller one may overflow


class NamedTensor(Protocol):
    """What is asked of a tensor here: shape, (n_out, n_in) or (n,), and values."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes, slowest first."""

    def dequantize(self) -> NDArray[np.float32]:
        """Its values."""


Tensor = TypeVar("Tensor", bound=NamedTensor)


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Shape a tensor must have, whether it must be there, whether to divide by it."""

    shape: tuple[int, ...]
    is_required: bool
    is_divisor: bool = False


def required(*shape: int) -> TensorSpec:
    """Spec of a tensor that must be there."""
    return TensorSpec(shape, True)


def optional(*shape: int) -> TensorSpec:
    """Spec of a tensor that may be missing."""
    return TensorSpec(shape, False)


def optional_divisors(*shape: int) -> TensorSpec:
    """Spec of a tensor that may be missing, and that others are divided by."""
    return TensorSpec(shape, False, is_divisor=True)


def select_tensors(
    specs: Mapping[str, TensorSpec], tensors: Mapping[str, Tensor], path: str
) -> dict[str, Tensor]:
    """Pick the tensors that `specs` names.

    Raises
    ------
    FormatError : a required tensor is missing, one has another shape, or one that is
        divided by has values that cannot be.
    """
    chosen = {}
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
        chosen[name] = tensor
    return chosen


def _check_divisors(name: str, values: NDArray[np.float32], path: str) -> None:
    is_sound = np.isfinite(values) & (values >= MIN_DIVISOR)
    if not is_sound.all():
        wanted = f"finite numbers from {MIN_DIVISOR:g}"
        raise FormatError(path, f"tensor {name}", wanted, float(values[~is_sound][0]))
