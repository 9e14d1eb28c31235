"""Where the values of a graph are while a program runs: buffers, used over and over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from llamacy.ops.memory import zeros
from llamacy.ops.plan.recorder import Node
from llamacy.ops.plan.step import (
    LOGITS,
    SCORES,
    Buffer,
    Columns,
    Operand,
    Place,
    Step,
)

LANES: Final = 16


def padded(width: int) -> int:
    """Count the floats of a buffer's row for `width` of them: whole vectors."""
    return -(-width // LANES) * LANES


class Buffers:
    """Gives values buffers, and those that nobody reads any more to others.

    Parameters
    ----------
    prepared_bytes : callable
        Bytes that (a width, a number of rows) take as quantised weights read them.
    n_batch : int
        Most rows of a pass: the height of every buffer.

    Attributes
    ----------
    values : dict of Buffer or Columns
        Where values are now: float32, (n_batch, at least the value's width).
    prepared : dict of Buffer
        Where they are as quantised weights read them, uint8.
    """

    def __init__(self, prepared_bytes: Callable[[int, int], int], n_batch: int) -> None:
        self._prepared_bytes = prepared_bytes
        self._n_batch = n_batch
        self.values: dict[Node, Place] = {}
        self.prepared: dict[Node, Buffer] = {}
        self._spare: dict[tuple[int, ...], list[Buffer]] = {}  # by shape
        self._n_made = 0

    def new(self, node: Node) -> Buffer:
        """Give a buffer to a value."""
        shape = (self._n_batch, padded(node.width))
        spare = self._spare.setdefault(shape, [])
        buffer = spare.pop() if spare else Buffer(self._name("x"), shape)
        self.values[node] = buffer
        return buffer

    def new_prepared(self, node: Node) -> Buffer:
        """Give a buffer to the prepared form of a value."""
        shape = (self._prepared_bytes(node.width, self._n_batch),)
        spare = self._spare.setdefault(shape, [])
        buffer = spare.pop() if spare else Buffer(self._name("p"), shape, "uint8")
        self.prepared[node] = buffer
        return buffer

    def view(self, node: Node, x: Node) -> None:
        """Let `node`, columns of `x` side by side, be read where these are."""
        first, n = node.attributes["first"], node.width
        self.values[node] = Columns.of(self.values[x], first, n)

    def replace(self, value: Node, node: Node) -> Buffer:
        """Let `node` have the buffer of `value`, which ends there."""
        buffer = self.values.pop(value)
        assert isinstance(buffer, Buffer)
        self.values[node] = buffer
        return buffer

    def free(self, value: Node) -> None:
        """Take back the buffers of a value, if it has any of its own."""
        for buffer in (self.values.pop(value, None), self.prepared.pop(value, None)):
            if isinstance(buffer, Buffer):
                self._spare[buffer.shape].append(buffer)

    def _name(self, letter: str) -> str:
        self._n_made += 1
        return f"{letter}{self._n_made - 1}"


def allocate(steps: Iterable[Step]) -> list[Step]:
    """Give the steps' buffers memory: steps on arrays, which share them as before.

    Raises
    ------
    OutOfMemoryError
        The system does not have that much memory.
    """
    arrays: dict[Buffer, NDArray[Any]] = {}

    def placed(operands: Mapping[str, Operand]) -> dict[str, Operand]:
        return {name: array_of(operand) for name, operand in operands.items()}

    def array_of(operand: Operand) -> Operand:
        if isinstance(operand, Columns):
            first, after = operand.first, operand.first + operand.n
            array = array_of(operand.buffer)
            assert isinstance(array, np.ndarray)
            return array[:, first:after]
        if not isinstance(operand, Buffer) or operand in (LOGITS, SCORES):
            return operand
        if operand not in arrays:
            arrays[operand] = zeros(operand.shape, operand.dtype)
        return arrays[operand]

    return [
        replace(step, reads=placed(step.reads), writes=placed(step.writes))
        for step in steps
    ]
