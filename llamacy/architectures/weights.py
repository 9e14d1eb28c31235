"""The tensors an architecture is made of, checked against those a file holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from llamacy.errors import FormatError


class NamedTensor(Protocol):
    """What is asked of a tensor here: its shape, (n_out, n_in) or (n,)."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes, slowest first."""


Tensor = TypeVar("Tensor", bound=NamedTensor)


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Shape a tensor must have, and whether a model may do without it."""

    shape: tuple[int, ...]
    is_required: bool


def required(*shape: int) -> TensorSpec:
    """Spec of a tensor that must be there."""
    return TensorSpec(shape, True)


def optional(*shape: int) -> TensorSpec:
    """Spec of a tensor that may be missing."""
    return TensorSpec(shape, False)


def select_tensors(
    specs: Mapping[str, TensorSpec], tensors: Mapping[str, Tensor], path: str
) -> dict[str, Tensor]:
    """Pick the tensors that `specs` names.

    Raises
    ------
    FormatError : a required tensor is missing, or one has another shape.
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
        chosen[name] = tensor
    return chosen
