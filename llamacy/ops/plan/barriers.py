"""Which steps of a program must wait for those before: the least that is sound."""

from __future__ import annotations

from collections.abc import Iterable

from llamacy.ops.plan.step import Operand, Step, memory_of


def find_barriers(steps: Iterable[Step]) -> list[bool]:
    """Find the steps that wait until all steps before them are done.

    Steps between two barriers run side by side, so none may read or write what another
    of them writes, nor write what another reads.
    """
    read: set[Operand] = set()
    written: set[Operand] = set()
    waits = []
    for step in steps:
        reads, writes = (
            set(map(memory_of, operands.values()))
            for operands in (step.reads, step.writes)
        )
        must_wait = bool(reads & written or writes & (written | read))
        waits.append(must_wait)
        if must_wait:
            read, written = reads, writes
        else:
            read |= reads
            written |= writes
    return waits
