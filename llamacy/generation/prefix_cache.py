"""Keys and values of texts that have ended, for new prompts that begin like them.

A new prompt forks the entry that it can go on furthest from, whose memory is copied on
write, and reads only the rest. Entries share memory too, among themselves and with
running texts; the bound is on distinct pieces of it. The least recently used entry goes
first: its snapshots, the oldest before the others, and then the entry.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from llamacy.generation.reading import n_alike
from llamacy.ops.state.sequence import NEVER, SequenceState

_logger = logging.getLogger("llamacy")

MIN_SHARED = 32
"""Fewest tokens worth sharing: fewer are read more quickly than they are shared."""


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A text's tokens, and the sequence that holds all of them.

    Attributes
    ----------
    ids : list of int
        Tokens of the text.
    sequence : SequenceState
        Their keys and values.
    """

    ids: list[int]
    sequence: SequenceState


class PrefixCache:
    """Sequences of past texts, found by how they begin.

    Parameters
    ----------
    n_bytes : int
        Most bytes held; 0 keeps nothing.
    """

    def __init__(self, n_bytes: int) -> None:
        self._n_bytes = n_bytes
        self._entries: list[Entry] = []  # the most recently used comes last

    def find(
        self,
        ids: list[int],
        *,
        n_most: int | None = None,
        n_long: int = 0,
        adapted_from: int = NEVER,
    ) -> tuple[SequenceState | None, int]:
        """Find the sequence that most of `ids` need not be read after, and how many.

        A sequence counts with the tokens that it shares with `ids` as far as it can go
        back to them, and not at all if its keys are rotated for another length
        (`SequenceState.n_long`). Tokens are shared up to where one of the texts is
        adapted and the other is not. The one found stays the cache's, and must be
        forked before the next call of a method.

        Parameters
        ----------
        ids : list of int
            A prompt.
        n_most : int, optional
            Most of its tokens that need not be read; all, if not given.
        n_long : int, default 0
            The length that the prompt's keys are rotated for.
        adapted_from : int, default NEVER
            Where the prompt is adapted from.
        """
        n_most = len(ids) if n_most is None else n_most
        least = MIN_SHARED - 1  # one of those shared is read again
        best, n_best, n_most_alike = None, 0, 0
        for entry in self._entries:
            n = common_prefix(entry.ids, ids)
            n = min(n, n_alike(entry.sequence.adapted_from, adapted_from))
            if n < MIN_SHARED or entry.sequence.n_long != n_long:
                continue
            n_most_alike = max(n_most_alike, min(n, n_most))
            nearest = entry.sequence.nearest(min(n, n_most))
            if nearest >= max(least, n_best + 1):
                best, n_best = entry, nearest
        if n_most_alike > n_best:
            _logger.debug(
                "a prompt begins with %d tokens of a past text; %d of them are read "
                "again, as it can go back to %d",
                *(n_most_alike, n_most_alike - n_best, n_best),
            )
        if best is None:
            return None, 0
        self._use(best)
        return best.sequence, n_best

    def put(self, ids: list[int], sequence: SequenceState) -> None:
        """Take `sequence`, which holds `ids`, and keep it or close it."""
        if len(ids) < MIN_SHARED or self._n_bytes == 0:
            sequence.close()
            return
        for entry in self._entries:
            if _is_found_in(entry, ids, sequence):
                sequence.close()
                self._use(entry)
                return
        new = Entry(ids, sequence)
        for entry in list(self._entries):
            if _is_found_in(new, entry.ids, entry.sequence):
                self._drop(entry)
        self._entries.append(new)
        while self._entries and self._count_bytes() > self._n_bytes:
            if not self._entries[0].sequence.thin():
                self._drop(self._entries[0])

    def forget_adapted(self) -> None:
        """Forget the rows of all texts from where each is adapted."""
        for entry in list(self._entries):
            sequence = entry.sequence
            n = min(sequence.n_past, sequence.adapted_from)
            self._entries.remove(entry)
            if n < sequence.n_past:
                sequence.truncate(n)
            sequence.adapted_from = NEVER
            self.put(entry.ids[: sequence.n_past], sequence)

    def clear(self) -> bool:
        """Close all sequences; return whether there were any."""
        had_some = bool(self._entries)
        while self._entries:
            self._drop(self._entries[0])
        return had_some

    def _use(self, entry: Entry) -> None:
        """Make an entry the most recently used one."""
        self._entries.remove(entry)
        self._entries.append(entry)

    def _drop(self, entry: Entry) -> None:
        self._entries.remove(entry)
        entry.sequence.close()

    def _count_bytes(self) -> int:
        held: dict[Hashable, int] = {}
        for entry in self._entries:
            held.update(entry.sequence.memory)
        return sum(held.values())


def _is_found_in(entry: Entry, ids: list[int], other: SequenceState) -> bool:
    """Whether a text that goes on from `ids` can as well go on from the entry.

    `other` is the sequence that holds the ids.
    """
    n, sequence = len(ids), entry.sequence
    if sequence.n_long != other.n_long:
        return False
    if n_alike(sequence.adapted_from, other.adapted_from) < n:
        return False
    return common_prefix(entry.ids, ids) == n and sequence.can_go_back(n)


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """Return how many leading items two lists have in common.

    Bisects, because comparing slices is many times faster than a loop.
    """
    low, high = 0, min(len(a), len(b))
    if a[:high] == b[:high]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle
    return low
