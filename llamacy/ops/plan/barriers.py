"""Which steps of a program must wait for those before: the least that is sound."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import cast

from llamacy.ops.plan.step import Operand, Step, memory_of
from llamacy.ops.state.layout import StateSlot


def find_barriers(steps: Iterable[Step]) -> list[bool]:
    """Find the steps that wait until all steps before them are done.

    Steps between two barriers run side by side, so none may read or write what another
    of them writes, nor write what another reads.
    """
    read: set[Hashable] = set()
    written: set[Hashable] = set()
    waits = []
    for step in steps:
        reads, writes = _memory(step.reads), _memory(step.writes)
        must_wait = bool(reads & written or writes & (written | read))
        waits.append(must_wait)
        if must_wait:
            read, written = reads, writes
        else:
            read |= reads
            written |= writes
    return waits


def _memory(operands: Mapping[str, Operand]) -> set[Hashable]:
    """Return what tells memory apart; slots of two layers may have the same."""
    return {
        operand.memory if isinstance(operand, StateSlot) else cast(Hashable, operand)
        for operand in map(memory_of, operands.values())
    }
