"""The tensors a model is made of: their specs, checked against those a file holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llamacy.config import LayerConfig, ModelConfig
from llamacy.errors import FormatError
from llamacy.ggml.tensor import Tensor

MIN_DIVISOR: Final = 1e-6  # dividing by a smaller one may overflow


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """What a tensor must be.

    Attributes
    ----------
    shape : tuple of int
        Sizes, slowest first.
    is_required : bool
        Whether the file must have the tensor.
    is_divisor : bool
        Whether other values are divided by the tensor's.
    parts : tuple of (str, int)
        Names and numbers of rows of the matrices that are stacked in the tensor; () if
        it is one matrix.
    """

    shape: tuple[int, ...]
    is_required: bool
    is_divisor: bool = False
    parts: tuple[tuple[str, int], ...] = ()

    def within(self, prefix: str) -> TensorSpec:
        """Return the spec with a prefix before the names of its parts."""
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
    """The one row of a matrix, as a vector."""

    matrix: Tensor

    @property
    def shape(self) -> tuple[int]:
        """(n,)."""
        return (self.matrix.shape[1],)

    @property
    def type(self) -> Any:
        """The matrix's type."""
        return self.matrix.type

    @property
    def data(self) -> NDArray[np.uint8]:
        """The bytes of the row."""
        return self.matrix.data

    def dequantize(self) -> NDArray[np.float32]:
        """Its values."""
        return self.matrix.dequantize().reshape(-1)

    def release(self) -> None:
        """Release the matrix."""
        self.matrix.release()


Specs: TypeAlias = dict[str, TensorSpec]
"""Specs by name, `"attn_q.weight"` in a layer."""


def required(*shape: int) -> TensorSpec:
    """Return the spec of a tensor that must be there."""
    return TensorSpec(shape, True)


def optional(*shape: int) -> TensorSpec:
    """Return the spec of a tensor that may be missing."""
    return TensorSpec(shape, False)


def divisors(*shape: int, is_required: bool = False) -> TensorSpec:
    """Return the spec of a tensor that other values are divided by."""
    return TensorSpec(shape, is_required, is_divisor=True)


def stacked(n_in: int, **n_rows: int) -> TensorSpec:
    """Return the spec of a matrix that holds those named, one below the other."""
    parts = tuple((f"{name}.weight", n) for name, n in n_rows.items())
    return TensorSpec((sum(n_rows.values()), n_in), True, parts=parts)


def norm_tensors(config: ModelConfig, *names: str) -> Specs:
    """Return the specs of norms over a whole row."""
    return {f"{name}.weight": required(config.n_embd) for name in names}


def optional_biases(matrices: Mapping[str, TensorSpec]) -> Specs:
    """Return the specs of biases that may come with these matrices."""
    return {
        name.replace(".weight", ".bias"): optional(spec.shape[0])
        for name, spec in matrices.items()
    }


def model_tensors(
    config: ModelConfig, of_layer: Callable[[ModelConfig, LayerConfig], Specs]
) -> Specs:
    """Return the specs of a model's tensors.

    Parameters
    ----------
    config : ModelConfig
        The model.
    of_layer : callable
        Given the model and a layer, returns the specs of that layer's tensors by their
        names in a layer.
    """
    is_long = config.rope.scaling == "longrope"
    factors = divisors(config.rope.n_dims // 2, is_required=is_long)
    specs = {
        "token_embd.weight": required(config.n_vocab, config.n_embd),
        "output_norm.weight": required(config.n_embd),
        "output.weight": optional(config.n_vocab, config.n_embd),
        "rope_freqs.weight": divisors(config.rope.n_dims // 2),
        "rope_factors_long.weight": factors,
        "rope_factors_short.weight": factors,
    }
    for number, layer in enumerate(config.layers):
        prefix = f"blk.{number}."
        for name, spec in of_layer(config, layer).items():
            specs[prefix + name] = spec.within(prefix)
    return specs


def select_tensors(
    specs: Mapping[str, TensorSpec], tensors: Mapping[str, Tensor], path: str
) -> dict[str, Tensor]:
    """Pick the tensors that `specs` names; matrices stacked in one by their own names.

    Parameters
    ----------
    specs : mapping of str to TensorSpec
        What the model is made of.
    tensors : mapping of str to Tensor
        The file's tensors.
    path : str
        The file, for errors.

    Raises
    ------
    FormatError
        A required tensor is missing, a tensor has another shape, or a divisor is not
        finite or too small.
    """
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
