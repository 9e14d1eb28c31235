"""One text's states of a fixed size: that of now, and snapshots of earlier ones.

A pass writes over the states of before unless these are shared, by a fork or with a
snapshot. Then they stay, and a block of its own has the states after the pass: kernels
read one block and write another. A pass that comes to lengths that are marked leaves a
block at each of them, so that prompts need not be cut into shorter passes for it. One
whose rows are only tried, as drafted tokens are, leaves a block at each row.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from llamacy.ops.state.pages import BlockPool, Page
from llamacy.ops.state.snapshots import Snapshots


class Span(NamedTuple):
    """Rows of one sequence, and where its states are before and after them.

    Attributes
    ----------
    n_rows : int
        The rows.
    before, after : int
        Addresses of blocks, which may be the same; 0 where no layer has such a state.
    """

    n_rows: int
    before: int
    after: int


class TextStates:
    """The states of one text; all methods are called with the pool's lock held.

    Parameters
    ----------
    pool : BlockPool
        Where its blocks come from.
    most : int
        Most snapshots.
    """

    def __init__(self, pool: BlockPool, most: int) -> None:
        self.pool = pool
        self._now: Page | None = None  # None before any pass
        self._snapshots: Snapshots[Page] = Snapshots(most)
        self._next: list[tuple[int, Page]] = []  # of the next pass: lengths and blocks
        self._n_tried = 0  # rows of the next pass that may be given back
        self._tried: dict[int, Page] = {}  # after each such row of the last pass

    @property
    def now(self) -> Page:
        """The states of now, of a text that was read."""
        assert self._now is not None
        return self._now

    @property
    def blocks(self) -> list[Page]:
        """The blocks held, shared ones included."""
        now = [] if self._now is None else [self._now]
        return [*now, *self._snapshots.by_length.values(), *self._tried.values()]

    @property
    def snapshots(self) -> tuple[int, ...]:
        """The lengths of the text of which there are snapshots."""
        return tuple(self._snapshots.by_length)

    @property
    def lengths(self) -> list[int]:
        """The lengths that it can go back to, rising."""
        return sorted({*self._snapshots.by_length, *self._tried})

    def by_length(self, n_past: int) -> dict[int, Page]:
        """Return all blocks by the lengths that they are the states of."""
        return {**self._snapshots.by_length, n_past: self.now}

    def reserve(self, n_past: int, n_tokens: int, cut: int) -> None:
        """Plan where the next pass leaves states: at its end, and where they are due.

        A pass that comes by the length `cut` is run in two parts, each to be taken over
        by itself.

        Raises
        ------
        OutOfMemoryError
            There is no memory for a block; nothing is planned then.
        """
        self.drop_next()
        if self._now is None:
            self.renew().data.fill(0)
        assert self._now is not None
        end = n_past + n_tokens
        planned = self._next
        tried = range(n_past + 1, n_past + 1 + min(self._n_tried, n_tokens))
        try:
            lengths = {*self._snapshots.due(n_past, end), *tried, end}
            for length in sorted(lengths | ({cut} if n_past < cut < end else set())):
                is_own = not planned and self._now.n_holders == 1
                planned.append((length, self._now if is_own else self.pool.take()))
        except BaseException:
            self.drop_next()
            raise

    def spans(self, n_past: int, n_tokens: int) -> list[Span]:
        """Return the first rows of the pass that was planned."""
        assert self._now is not None
        spans, first, before = [], n_past, self._now
        for length, after in self._next:
            if length > n_past + n_tokens:
                break
            spans.append(Span(length - first, before.address, after.address))
            first, before = length, after
        return spans

    def take_over(self, n_past: int) -> None:
        """Hold the states that the pass has left, which has come to a length."""
        planned = [each for each in self._next if each[0] <= n_past]
        self._next = self._next[len(planned) :]
        n_tried, self._n_tried = self._n_tried, 0
        self._drop_tried()
        for length, block in planned:
            if block is not self._now:
                self._set(block)
            if n_tried:
                self.pool.share(block)
                self._tried[length] = block
            if self._snapshots.is_due(length):
                self.keep(length)

    def drop_next(self) -> bool:
        """Forget a pass that was planned; whether it was to write over the states."""
        planned, self._next = self._next, []
        for _, block in planned:
            if block is not self._now:
                self.pool.give_back(block)
        return any(block is self._now for _, block in planned)

    def renew(self) -> Page:
        """Hold a block with anything in it."""
        block = self.pool.take()
        self._set(block)
        return block

    def keep(self, length: int) -> None:
        """Keep the states of now, of a text of that length, as a snapshot."""
        if self._now is not None and length not in self._snapshots.by_length:
            self.pool.share(self._now)
            for oldest in self._snapshots.keep(length, self._now):
                self.pool.give_back(oldest)

    def mark(self, n_past: int, lengths: Iterable[int]) -> None:
        """Keep snapshots at these lengths, that of now or later ones."""
        lengths = set(lengths)
        self._snapshots.mark(length for length in lengths if length > n_past)
        if n_past and n_past in lengths:
            self.keep(n_past)

    def try_rows(self, n_rows: int) -> None:
        """Let the next pass be taken back to any of its first rows."""
        self._n_tried = n_rows

    def thin(self) -> bool:
        """Let the oldest snapshot go, if it is not the last; whether there was one."""
        if len(self._snapshots.by_length) < 2:
            return False
        self.pool.give_back(self._snapshots.pop_oldest())
        return True

    def fork(self) -> TextStates:
        """Return the same states, shared."""
        twin = TextStates(self.pool, self._snapshots.most)
        for length, block in self._snapshots.by_length.items():
            self.pool.share(block)
            twin._snapshots.keep(length, block)
        if self._now is not None:
            self.pool.share(self._now)
            twin._now = self._now
        return twin

    def return_to(self, length: int) -> None:
        """Go back to a length that it has a block of, or to an empty text."""
        self.drop_next()
        found = self._snapshots.by_length.get(length, self._tried.get(length))
        if found is not None:
            self.pool.share(found)
        self._set(found)
        self._drop_tried()
        for longer in self._snapshots.cut(length):
            self.pool.give_back(longer)

    def _drop_tried(self) -> None:
        while self._tried:
            self.pool.give_back(self._tried.popitem()[1])

    def _set(self, block: Page | None) -> None:
        """Hold a block, which was taken or shared for that, in place of the last."""
        if self._now is not None:
            self.pool.give_back(self._now)
        self._now = block
