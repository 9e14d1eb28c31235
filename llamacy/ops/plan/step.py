"""The program of a forward pass as data: steps that can be printed, compared, timed.

`lowering` makes the list of steps, `barriers` finds which of them must wait, `buffers`
gives them memory, and `steps` turns each into the C struct that a pass runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from llamacy.ops.state.layout import StateSlot

if TYPE_CHECKING:
    from llamacy.ops.plan.observing import InputSquares
    from llamacy.ops.plan.routing import Routing


@dataclass(frozen=True, slots=True)
class Buffer:
    """A place in memory that steps read and write, before it has any memory.

    Attributes
    ----------
    name : str
        Tells it from the other buffers of a program.
    shape : tuple of int
        Rows and floats of a row, both padded; or bytes.
    dtype : str
        Type of its elements.
    """

    name: str
    shape: tuple[int, ...]
    dtype: Literal["float32", "uint8"] = "float32"

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns of a buffer that a step reads where they are.

    Attributes
    ----------
    buffer : Buffer
        The buffer.
    first, n : int
        The first of the columns, and how many.
    """

    buffer: Buffer
    first: int
    n: int

    @classmethod
    def of(cls, place: Place, first: int, n: int) -> Columns:
        """Return columns of a buffer, or of columns of one."""
        if isinstance(place, Buffer):
            return cls(place, first, n)
        return cls(place.buffer, place.first + first, n)

    def __str__(self) -> str:
        return f"{self.buffer}[{self.first}:{self.first + self.n}]"


Place: TypeAlias = Buffer | Columns
"""Where the value of an operation is."""

LOGITS: Final = Buffer("logits", ())
"""The array that a run of the program fills: float32, (n_wanted, n_vocab)."""

SCORES: Final = Buffer("scores", ())
"""Memory that a run of the program has for the scores of few rows, if threads share the
work on them."""

Operand: TypeAlias = "Place | StateSlot | Routing | InputSquares | NDArray[Any]"
"""A thing that a step reads or writes: a buffer, or columns of one that it reads, or a
given array; a layer's state in the pages; the routes of a mixture of experts; sums that
outlive a pass."""


def memory_of(operand: Operand) -> Operand:
    """Return the operand whose memory a step uses: of columns, their buffer."""
    return operand.buffer if isinstance(operand, Columns) else operand


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One operation of a program, on operands by name.

    Attributes
    ----------
    op : str
        The kind of step: an operation of the vocabulary, or a part of one.
    reads : dict of Operand
        Operands that it reads, of other steps.
    writes : dict of Operand
        Operands that it writes, and may read before.
    constants : dict
        Weights, sizes and numbers, which no step writes.
    of_wanted : bool
        Its rows are the wanted ones, not all of the batch.
    """

    op: str
    reads: Mapping[str, Operand]
    writes: Mapping[str, Operand]
    constants: Mapping[str, Any] = field(default_factory=dict)
    of_wanted: bool = False

    @classmethod
    def of(
        cls,
        op: str,
        reads: Mapping[str, Operand | None],
        writes: Mapping[str, Operand | None],
        *,
        of_wanted: bool = False,
        **constants: Any,
    ) -> Step:
        """Make a step; operands and constants that are None are left out."""
        return cls(op, _given(reads), _given(writes), _given(constants), of_wanted)

    @property
    def kind(self) -> str:
        """The operation, its form, and operations fused into it: `rms_norm+prepare`."""
        words = [self.op]
        if "prepared" in self.writes and self.op != "prepare":
            words[0] += "+prepare"
        if "table" in self.reads:
            words[0] += "+rotate"
        if "form" in self.constants:
            words.append(self.constants["form"])
        if self.constants.get("may_round"):
            words.append("rounded")
        if "y" in self.writes and self.reads.get("x") is self.writes["y"]:
            words.append("in place")
        return " ".join(words)

    def __str__(self) -> str:
        return (
            f"{self.kind:<18} {_listed(self.reads)} -> {_listed(self.writes)}"
            f"  [{_listed(self.constants)}]"
        )


def listing(steps: list[Step], waits: list[bool]) -> str:
    """Print a program, a step a line; a bar marks those that wait for all before."""
    return "\n".join(
        f"{'|' if must_wait else ' '} {step}"
        for step, must_wait in zip(steps, waits, strict=True)
    )


_T = TypeVar("_T")


def _given(named: Mapping[str, _T | None]) -> dict[str, _T]:
    return {name: each for name, each in named.items() if each is not None}


def _listed(named: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={_shown(value)}" for name, value in named.items())


def _shown(value: Any) -> str:
    """Show a weight or an array by its type and shape, other values as they are."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{value.shape}"
    if hasattr(value, "type_name"):
        return f"{value.type_name}{tuple(value.shape)}"
    return str(value)
