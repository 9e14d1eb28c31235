"""Presents a layer's experts as GGUF does: one tensor each for gate, up and down.

Experts without a gate have two. In Hugging Face's files, each expert has tensors of its
own, or all are merged in one of several layouts; see
`llamacy.formats.hugging_face.family.Mixture`. The tensors are put together on access,
so that only one of them is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.derived_tensor import StackedTensor
from llamacy.formats.hugging_face.config import Config
from llamacy.formats.hugging_face.expert_forms import Mxfp4, Select, Selection
from llamacy.formats.hugging_face.families import BARE
from llamacy.formats.hugging_face.family import ExpertNames, Family, Mixture
from llamacy.formats.hugging_face.forms import Vector
from llamacy.formats.model_file import ModelTensor
from llamacy.formats.safetensors.file import BYTES
from llamacy.formats.safetensors.folder import ByteTensor, Floats
from llamacy.printable import shown

Source: TypeAlias = Floats | ByteTensor

PARTS: Final = ("ffn_gate_exps", "ffn_up_exps", "ffn_down_exps")
"""GGUF's names of the three tensors."""

_BLOCK: Final = 32  # weights of MXFP4 that share a scale


def is_expert(rest: str, family: Family) -> bool:
    """Whether a name, without its layer, belongs to one expert or to all."""
    if family.mixture is None or rest in BARE:
        return False
    names = family.mixture.names
    return rest in family.mixture.merged or any(
        rest.startswith(f"{each.module}.") for each in names
    )


def stacked(
    layer: int, sources: Mapping[str, Source], config: Config, path: Path
) -> Iterator[ModelTensor]:
    """Yield the tensors of a layer's experts as GGUF has them.

    Parameters
    ----------
    layer : int
        Index of the layer.
    sources : Mapping of str to Source
        All tensors of its experts, by Hugging Face's names.
    config : Config
        The translated config.json of a mixture.
    path : Path
        The folder, for errors.

    Raises
    ------
    FormatError
        A tensor is missing, or has a wrong shape or type.
    UnsupportedError
        A tensor does not belong to the experts of any supported family.
    """
    assert config.family.mixture is not None and config.experts is not None
    yield from _Layer(layer, sources, config.family.mixture, config, path).tensors()


class _Layer:
    """The experts of one layer; each tensor read is taken out of `sources`."""

    def __init__(
        self,
        layer: int,
        sources: Mapping[str, Source],
        mixture: Mixture,
        config: Config,
        path: Path,
    ) -> None:
        assert config.experts is not None
        self.path = path
        self.sources = dict(sources)
        self.mixture = mixture
        self.n_expert, self.n_ff = config.experts.n_expert, config.experts.n_ff[layer]
        self.n_embd = config.experts.n_latent or config.sizes.n_embd
        self.names = _names_in(sources, layer, mixture)
        self.module = f"model.layers.{layer}.{self.names.module}"
        parts = PARTS if mixture.is_gated else PARTS[1:]
        self.ours = [f"blk.{layer}.{part}" for part in parts]

    def tensors(self) -> list[ModelTensor]:
        """Return gate, up and down, then their biases if there are any."""
        if self.mixture.is_flat:
            tensors = self._flat()
        elif not self.mixture.is_gated:
            tensors = self._without_gate()
        elif not self.mixture.is_turned:
            is_merged = f"{self.module}.gate_up_proj" in self.sources
            if is_merged and self._has_columns():
                tensors = self._with_columns()
            else:
                tensors = self._merged() if is_merged else self._one_by_one()
        elif f"{self.module}.gate_up_proj_blocks" in self.sources:
            tensors = [*self._mxfp4(), *self._biases()]
        else:
            tensors = [*self._turned(), *self._biases()]
        for name in self.sources:  # those left over
            wanted = "one that experts are known to have"
            raise UnsupportedError(self.path, "tensor", wanted, shown(name))
        return tensors

    def _one_by_one(self) -> list[ModelTensor]:
        """Stack the matrices of experts that have tensors of their own."""
        gate, down = (self.n_ff, self.n_embd), (self.n_embd, self.n_ff)
        return [
            self._stack(f"{ours}.weight", theirs, shape)
            for ours, theirs, shape in zip(
                self.ours, self.names[1:], (gate, gate, down), strict=True
            )
        ]

    def _without_gate(self) -> list[ModelTensor]:
        """Stack two matrices of each expert, or return the two that are merged."""
        up, down = (self.n_ff, self.n_embd), (self.n_embd, self.n_ff)
        parts = list(zip(self.ours, self.names[2:], (up, down), strict=True))
        if f"{self.module}.{self.names.up}" not in self.sources:
            return [
                self._stack(f"{ours}.weight", theirs, shape)
                for ours, theirs, shape in parts
            ]
        return [
            Selection(
                f"{ours}.weight",
                (self.n_expert, *shape),
                self._floats(theirs, (self.n_expert, *shape)),
                lambda x: x,
            )
            for ours, theirs, shape in parts
        ]

    def _flat(self) -> list[ModelTensor]:
        """Take apart the matrices that lie below each other, without a gate."""
        n, n_ff, n_embd = self.n_expert, self.n_ff, self.n_embd
        up, down = (self._floats(name, (n * n_ff, n_embd)) for name in self.names[2:])
        shape = (n, n_ff, n_embd)
        return [
            Selection(f"{self.ours[0]}.weight", shape, up, lambda x: x.reshape(shape)),
            Selection(
                f"{self.ours[1]}.weight",
                (n, n_embd, n_ff),
                down,
                lambda x: x.reshape(shape).swapaxes(1, 2),
            ),
        ]

    def _stack(self, name: str, theirs: str, shape: tuple[int, int]) -> StackedTensor:
        found = [
            self._floats(f"{i}.{theirs}.weight", shape) for i in range(self.n_expert)
        ]
        for one in found:
            if one.type != found[0].type:
                field, wanted = f"tensor {one.name}: dtype", found[0].type.name
                raise FormatError(
                    self.path, field, f"{wanted}, like expert 0", one.type.name
                )
        return StackedTensor(name, found)

    def _merged(self) -> list[ModelTensor]:
        """Split merged tensors, in which gate's rows come before up's."""
        n, n_ff, n_embd = self.n_expert, self.n_ff, self.n_embd
        gate_up = self._floats("gate_up_proj", (n, 2 * n_ff, n_embd))
        down = self._floats("down_proj", (n, n_embd, n_ff))
        selects: Sequence[Select] = [
            lambda x: x[:, :n_ff],
            lambda x: x[:, n_ff:],
            lambda x: x,
        ]
        return self._selections(selects, gate_up, down)

    def _with_columns(self) -> list[ModelTensor]:
        """Split and transpose merged tensors, with gate's columns before up's."""
        n, n_ff, n_embd = self.n_expert, self.n_ff, self.n_embd
        gate_up = self._floats("gate_up_proj", (n, n_embd, 2 * n_ff))
        down = self._floats("down_proj", (n, n_ff, n_embd))
        selects: Sequence[Select] = [
            lambda x: x[:, :, :n_ff].swapaxes(1, 2),
            lambda x: x[:, :, n_ff:].swapaxes(1, 2),
            lambda x: x.swapaxes(1, 2),
        ]
        return self._selections(selects, gate_up, down)

    def _has_columns(self) -> bool:
        """Whether merged tensors have columns for rows, where a family's may."""
        straight = {
            "gate_up_proj": (self.n_expert, 2 * self.n_ff, self.n_embd),
            "down_proj": (self.n_expert, self.n_embd, self.n_ff),
        }
        return self.mixture.may_have_columns and any(
            (source := self.sources.get(f"{self.module}.{name}")) is not None
            and source.shape != shape
            for name, shape in straight.items()
        )

    def _turned(self) -> list[ModelTensor]:
        """Transpose tensors, in which the columns of gate and up alternate."""
        n, n_ff, n_embd = self.n_expert, self.n_ff, self.n_embd
        gate_up = self._floats("gate_up_proj", (n, n_embd, 2 * n_ff))
        down = self._floats("down_proj", (n, n_ff, n_embd))
        selects: Sequence[Select] = [
            lambda x: x[:, :, ::2].swapaxes(1, 2),
            lambda x: x[:, :, 1::2].swapaxes(1, 2),
            lambda x: x.swapaxes(1, 2),
        ]
        return self._selections(selects, gate_up, down)

    def _selections(
        self, selects: Sequence[Select], gate_up: Floats, down: Floats
    ) -> list[ModelTensor]:
        gate_shape = (self.n_expert, self.n_ff, self.n_embd)
        down_shape = (self.n_expert, self.n_embd, self.n_ff)
        return [
            Selection(f"{ours}.weight", shape, source, select)
            for ours, shape, source, select in zip(
                self.ours,
                (gate_shape, gate_shape, down_shape),
                (gate_up, gate_up, down),
                selects,
                strict=True,
            )
        ]

    def _mxfp4(self) -> list[ModelTensor]:
        """Split MXFP4 blocks and scales, in which the rows of gate and up alternate."""
        for key, n_in in (("hidden_size", self.n_embd), ("width", self.n_ff)):
            if n_in % _BLOCK:
                wanted = f"a multiple of {_BLOCK} for MXFP4"
                raise FormatError(self.path, f"experts: {key}", wanted, n_in)
        gate_up = self._blocks("gate_up_proj", 2 * self.n_ff, self.n_embd)
        down = self._blocks("down_proj", self.n_embd, self.n_ff)
        return [
            Mxfp4(f"{ours}.weight", *source, rows)
            for ours, source, rows in zip(
                self.ours,
                (gate_up, gate_up, down),
                (slice(0, None, 2), slice(1, None, 2), slice(None)),
                strict=True,
            )
        ]

    def _blocks(
        self, name: str, n_out: int, n_in: int
    ) -> tuple[ByteTensor, ByteTensor]:
        shape = (self.n_expert, n_out, n_in // _BLOCK)
        blocks = self._bytes(f"{name}_blocks", (*shape, _BLOCK // 2))
        return blocks, self._bytes(f"{name}_scales", shape)

    def _biases(self) -> list[ModelTensor]:
        n, n_ff, n_embd = self.n_expert, self.n_ff, self.n_embd
        gate_up = self._floats("gate_up_proj_bias", (n, 2 * n_ff))
        down = self._floats("down_proj_bias", (n, n_embd))
        return [
            Vector(f"{ours}.bias", shape, partial(_columns, source, columns))
            for ours, shape, source, columns in zip(
                self.ours,
                ((n, n_ff), (n, n_ff), (n, n_embd)),
                (gate_up, gate_up, down),
                (slice(0, None, 2), slice(1, None, 2), slice(None)),
                strict=True,
            )
        ]

    def _floats(self, name: str, shape: tuple[int, ...]) -> Floats:
        source = self._take(name, shape)
        if isinstance(source, ByteTensor):
            self._fail(source, "dtype", "floats", source.dtype)
        return source

    def _bytes(self, name: str, shape: tuple[int, ...]) -> ByteTensor:
        source = self._take(name, shape)
        if not isinstance(source, ByteTensor):
            self._fail(source, "dtype", "U8, bytes", source.type.name)
        if source.dtype != BYTES:
            self._fail(source, "dtype", "U8, bytes", source.dtype)
        return source

    def _take(self, name: str, shape: tuple[int, ...]) -> Source:
        """Take a tensor out of `sources`, and check its shape."""
        name = f"{self.module}.{name}"
        source = self.sources.pop(name, None)
        if source is None:
            wanted = "a tensor that config.json or the family has"
            raise FormatError(self.path, f"tensor {name}", wanted, "none")
        if source.shape != shape:
            self._fail(source, "shape", shape, source.shape)
        return source

    def _fail(
        self, source: Source, field: str, wanted: object, found: object
    ) -> NoReturn:
        raise FormatError(self.path, f"tensor {source.name}: {field}", wanted, found)


def _names_in(
    sources: Mapping[str, Source], layer: int, mixture: Mixture
) -> ExpertNames:
    """Return the names that a layer's tensors use; the usual ones if it has none."""
    for names in mixture.names:
        prefix = f"model.layers.{layer}.{names.module}."
        if any(name.startswith(prefix) for name in sources):
            return names
    return mixture.names[0]


def _columns(source: Floats, columns: slice) -> NDArray[np.float32]:
    return source.dequantize()[:, columns]
