"""Which steps of a program must wait for those before: the least that is sound."""

from __future__ import annotations

from collections.abc import Iterable


class Barriers:
    """What the steps since the last barrier have touched, from which follows the next.

    Steps between two barriers run side by side, so none may read or write what another
    of them writes, nor write what another reads.
    """

    def __init__(self) -> None:
        self._read: set[int] = set()
        self._written: set[int] = set()

    def waits(self, reads: Iterable[object], writes: Iterable[object]) -> bool:
        """Whether the step that touches these next must wait; None counts as nothing.

        They are told apart as objects, which must outlive the program's making.
        """
        read = {id(each) for each in reads if each is not None}
        written = {id(each) for each in writes if each is not None}
        waits = bool(read & self._written or written & (self._written | self._read))
        if waits:
            self._read, self._written = set(), set()
        self._read |= read
        self._written |= written
        return waits
