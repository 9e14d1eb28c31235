"""The memory of a plan's buffers, from the shapes and types of weights alone.

A pass is recorded and lowered as `Plan` does it, but with outlines in place of weights:
nothing is read from a file, and no buffer is allocated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from llamacy import kernels
from llamacy.ggml.tensor import Tensor
from llamacy.kernels.packing.matrices import PackedMatrix
from llamacy.ops.plan.lowering import Lowering
from llamacy.ops.plan.recorder import Node
from llamacy.ops.plan.runtime import Program
from llamacy.ops.plan.step import LOGITS, SCORES, Buffer, memory_of
from llamacy.ops.state.layout import StateLayout

_NO_PANELS: Final = np.empty(1, np.uint8)


@dataclass(frozen=True, slots=True)
class Outline:
    """A weight without its values: all that recording and lowering a pass ask of it.

    Attributes
    ----------
    shape : tuple of int
        Sizes, slowest first.
    type_name : str
        Type of its blocks.
    """

    shape: tuple[int, ...]
    type_name: str

    @classmethod
    def of(cls, tensor: Tensor) -> Outline:
        """Return the outline of a file's tensor."""
        return cls(tensor.shape, tensor.type.name)

    def __len__(self) -> int:
        return self.shape[0]


class _OutlineKernels:
    """The kernels of the level in use, asked about outlines."""

    def __init__(self) -> None:
        table = kernels.load(kernels.selected().name).table
        self._program = Program(table, 1)
        self.prepared_bytes = self._program.prepared_bytes
        self.has_bf16 = self._program.has_bf16
        self.n_threads = self._program.n_threads

    def reads_prepared(self, weight: Any) -> bool:
        """Whether products with a matrix or with experts read prepared activations."""
        return self.digits_read(weight) > 0

    def digits_read(self, weight: Any) -> int:
        """Count the digits that such products read of them."""
        *_, n, k = weight.shape
        return self._program.digits_read(
            PackedMatrix(weight.type_name, n, k, _NO_PANELS)
        )

    def rounds(self, weight: Any) -> bool:
        """Whether such products round activations to bfloat16 or to less."""
        return 0 < self.digits_read(weight) < 4


def buffer_bytes(
    nodes: list[Node], logits: Node, layout: StateLayout, n_batch: int
) -> int:
    """Count the bytes of the buffers that a plan of this pass allocates.

    Parameters
    ----------
    nodes : list of Node
        The pass, recorded on outlines.
    logits : Node
        The node whose value are the logits.
    layout : StateLayout
        The states of its layers.
    n_batch : int
        Most rows of a pass.

    Raises
    ------
    CPUError
        `LLAMACY_ISA` names a level that this machine cannot run.
    """
    steps = Lowering(nodes, logits, _OutlineKernels(), layout, n_batch).lower()
    buffers = {
        operand
        for step in steps
        for operand in map(memory_of, (*step.reads.values(), *step.writes.values()))
        if isinstance(operand, Buffer) and operand not in (LOGITS, SCORES)
    }
    return sum(
        math.prod(buffer.shape) * np.dtype(buffer.dtype).itemsize for buffer in buffers
    )
