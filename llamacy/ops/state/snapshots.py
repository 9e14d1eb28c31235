"""Snapshots: copies of a text's states, taken where it may be gone back to.

A state of a fixed size cannot be cut, as pages can: a text goes back to where a copy
was taken. Copies are taken at marks, such as the ends of messages, and every few
thousand tokens. When there are too many, the oldest goes, but never the newest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

PERIOD: Final = 4096
"""Tokens from one snapshot to the next where nothing is marked."""


class Snapshots(Generic[T]):
    """The snapshots of one text, by its length where they were taken.

    Parameters
    ----------
    most : int
        Most snapshots, at least 1.

    Attributes
    ----------
    by_length : dict of int to T
        Snapshots, the oldest, and shortest, first.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.by_length: dict[int, T] = {}
        self._marks: set[int] = set()

    def mark(self, lengths: Iterable[int]) -> None:
        """Let snapshots be taken at these lengths too; of too many, at the last."""
        self._marks.update(sorted(lengths)[-self.most :])

    def is_due(self, length: int) -> bool:
        """Whether a snapshot is to be taken at a length."""
        return length in self._marks or length % PERIOD == 0

    def due(self, first: int, end: int) -> list[int]:
        """List the lengths after `first`, up to `end`, where they are to be taken."""
        periodic = range(first // PERIOD * PERIOD + PERIOD, end + 1, PERIOD)
        marked = [length for length in self._marks if first < length <= end]
        return sorted({*periodic, *marked})

    def nearest(self, length: int) -> int:
        """Return the length of the last one that is not longer; 0 without one."""
        return max((each for each in self.by_length if each <= length), default=0)

    def keep(self, length: int, snapshot: T) -> list[T]:
        """Keep a snapshot that is longer than all others; return those that go."""
        self._marks = {each for each in self._marks if each > length}
        self.by_length[length] = snapshot
        return [self.pop_oldest() for _ in range(len(self.by_length) - self.most)]

    def pop_oldest(self) -> T:
        """Take the oldest snapshot out."""
        return self.by_length.pop(next(iter(self.by_length)))

    def cut(self, length: int) -> list[T]:
        """Take out those that are longer, and forget marks beyond."""
        self._marks = {each for each in self._marks if each <= length}
        longer = [each for each in self.by_length if each > length]
        return [self.by_length.pop(each) for each in longer]
