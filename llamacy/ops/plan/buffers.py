"""Where the values of a graph are while a program runs: buffers, used over and over."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from llamacy.ops.memory import touched
from llamacy.ops.plan.recorder import Node
from llamacy.ops.plan.runtime import Program

Buffer = NDArray[np.float32]
"""(n_batch, at least the value's width): rows are whole vectors."""
Prepared = NDArray[np.uint8]
"""A value as quantised weights read it."""

LANES: Final = 16


def padded(width: int) -> int:
    """Floats of a buffer's row for `width` of them."""
    return -(-width // LANES) * LANES


class Buffers:
    """Gives values buffers, and those that nobody reads any more to others.

    Parameters
    ----------
    program : says how large prepared values are.
    n_batch : most rows of a pass: the height of every buffer.

    Attributes
    ----------
    values, prepared : where values are now, as floats and as weights read them.
    """

    def __init__(self, program: Program, n_batch: int) -> None:
        self._program = program
        self._n_batch = n_batch
        self.values: dict[Node, Buffer] = {}
        self.prepared: dict[Node, Prepared] = {}
        self._spare: dict[int, list[Buffer]] = {}
        self._spare_prepared: dict[int, list[Prepared]] = {}

    def new(self, node: Node) -> Buffer:
        """Give a buffer to a value."""
        ld = padded(node.width)
        spare = self._spare.setdefault(ld, [])
        buffer = spare.pop() if spare else touched((self._n_batch, ld), np.float32)
        self.values[node] = buffer
        return buffer

    def new_prepared(self, node: Node) -> Prepared:
        """Give a buffer to the prepared form of a value."""
        nbytes = self._program.prepared_bytes(node.width, self._n_batch)
        spare = self._spare_prepared.setdefault(nbytes, [])
        buffer = spare.pop() if spare else touched((nbytes,), np.uint8)
        self.prepared[node] = buffer
        return buffer

    def replace(self, value: Node, node: Node) -> Buffer:
        """Let `node` have the buffer of `value`, which ends there."""
        buffer = self.values[node] = self.values.pop(value)
        return buffer

    def free(self, value: Node) -> None:
        """Take back what a value had, if it had anything."""
        buffer = self.values.pop(value, None)
        if buffer is not None:
            self._spare[buffer.shape[1]].append(buffer)
        prepared = self.prepared.pop(value, None)
        if prepared is not None:
            self._spare_prepared[len(prepared)].append(prepared)
