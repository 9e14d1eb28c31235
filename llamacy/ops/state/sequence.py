"""One text's state between forward passes: a protocol, and its pages.

A sequence grows with its text, forks with it, and goes back with it as far as it can.
All states of a text are under one sequence: its tokens' keys and values in pages, and
beside them, for layers that have one, a state of a fixed size.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Final, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import ArgumentError, ClosedError
from llamacy.ops.state.pages import Page, PagePool
from llamacy.ops.state.text_states import Span, TextStates
from llamacy.ops.state.windows import MARGIN

_logger = logging.getLogger("llamacy")

NEVER: Final = 2**31 - 1
"""`SequenceState.adapted_from` of a text that no adapter acts on the end of alone."""

ReadPart: TypeAlias = Callable[[str, int], bytes | memoryview]
"""Reads one part of a saved sequence: its bytes, by its name and size."""


class SequenceState(Protocol):
    """The state that layers keep of one text between forward passes.

    Attributes
    ----------
    n_long : int
        0 if it is of a short text; of a long one, the length that its rotations are
        for, 1 in models that rotate all long texts alike: see
        `llamacy.ops.rope.long_texts`. Changed only while it is empty.
    adapted_from : int
        The position from which on rows are computed with an adapter that acts on a
        text's end alone: see `llamacy.ops.activation`. `NEVER` in all other texts.
    """

    n_long: int
    adapted_from: int

    @property
    def n_past(self) -> int:
        """Tokens read; the next row of this sequence has this position."""

    @property
    def memory(self) -> Mapping[Hashable, int]:
        """Bytes of the pieces of memory that hold them; forks have some in common."""

    def fork(self) -> SequenceState:
        """Return a sequence that begins with the same tokens, copied on write."""

    def mark(self, lengths: Iterable[int]) -> None:
        """Let it be possible to go back to these lengths: that of now, or later ones.

        A sequence whose state cannot be cut keeps snapshots of it there, and lets the
        oldest go when there are too many.
        """

    def try_rows(self, n_rows: int) -> None:
        """Let the next pass, of that many rows, be taken back to any of them.

        That holds until the pass after it.
        """

    def thin(self) -> bool:
        """Let the oldest snapshot go, if it is not the last; whether there was one."""

    def can_go_back(self, n: int) -> bool:
        """Whether everything is there that a token after the first `n` reads."""

    def nearest(self, n: int) -> int:
        """Return the most tokens, up to `n`, that it can go back to; 0 if to none."""

    def truncate(self, n: int) -> None:
        """Forget all but the first `n` tokens, or what is `nearest` to them."""

    def close(self) -> None:
        """Give the memory back; may be called again."""


@runtime_checkable
class SavableSequence(SequenceState, Protocol):
    """A sequence that can be written to a file, part by part, and read back."""

    @property
    def n_gone(self) -> int:
        """Pages at the beginning that were given back, and are not among the parts."""

    @property
    def snapshots(self) -> tuple[int, ...]:
        """The lengths of the text of which there are snapshots of its state."""

    @property
    def most_snapshots(self) -> int:
        """The most of them that it keeps."""

    def most_gone(self, n_tokens: int) -> int:
        """Count the pages that a sequence of `n_tokens` can do without."""

    def parts(self) -> Iterator[tuple[str, memoryview]]:
        """Yield the name and the bytes of each part of its state."""

    def restore(
        self,
        n_tokens: int,
        n_gone: int,
        read: ReadPart,
        snapshots: tuple[int, ...] = (),
    ) -> None:
        """Hold `n_tokens` of a sequence that was saved; it was empty.

        Parameters
        ----------
        n_tokens : int
            Tokens of the saved sequence.
        n_gone : int
            Its `n_gone`, at most `most_gone(n_tokens)`.
        read : callable
            Returns the bytes of a part, of (its name, its size).
        snapshots : tuple of int
            Its `snapshots`, of rising lengths from 1 to `n_tokens`.
        """


class PagedSequence:
    """The pages of one text's tokens, and the states of a fixed size beside them.

    Parameters
    ----------
    pool : PagePool
        Where its pages come from.
    """

    def __init__(self, pool: PagePool) -> None:
        self.pool = pool
        self.n_long = 0
        self.adapted_from = NEVER
        self._pages: list[Page] = []
        self._n_gone = 0  # pages given back, before these
        self._addresses: NDArray[np.uintp] = np.zeros(8, np.uintp)
        self._n_past = 0
        self._states: TextStates | None = None
        if pool.states is not None:
            self._states = TextStates(pool.states, pool.n_snapshots)
        self._is_closed = False

    @property
    def n_past(self) -> int:
        """Tokens read, those whose pages are gone included."""
        return self._n_past

    @property
    def n_pages(self) -> int:
        """Pages held, shared ones included."""
        return len(self._pages)

    @property
    def pages(self) -> tuple[Page, ...]:
        """Pages held, shared ones included."""
        return tuple(self._pages)

    @property
    def memory(self) -> Mapping[Hashable, int]:
        """Bytes of the pages and blocks held, shared ones included."""
        sizes: dict[Hashable, int] = dict.fromkeys(self._pages, self.pool.page_bytes)
        if self._states is not None:
            sizes |= dict.fromkeys(self._states.blocks, self._states.pool.block_bytes)
        return sizes

    @property
    def n_gone(self) -> int:
        """Pages at the beginning that were given back."""
        return self._n_gone

    @property
    def snapshots(self) -> tuple[int, ...]:
        """The lengths of the text of which there are snapshots of its states."""
        return () if self._states is None else self._states.snapshots

    @property
    def most_snapshots(self) -> int:
        """The most of them that it keeps."""
        return self.pool.n_snapshots

    @property
    def page_table(self) -> int:
        """Address of the array of page addresses, for the kernels; gone pages are 0."""
        return int(self._addresses.ctypes.data)

    def reserve(self, n_tokens: int) -> None:
        """Make room to write `n_tokens` more, in memory that no other sequence holds.

        Raises
        ------
        ClosedError
            The sequence is closed.
        OutOfMemoryError
            There is no memory for a new page; the sequence stays as it was.
        """
        if self._is_closed:
            raise ClosedError("the sequence is closed")
        with self.pool.lock:
            self._reserve_pages(n_tokens)
            if self._states is not None:
                self._states.reserve(self._n_past, n_tokens, self.adapted_from)

    def most_gone(self, n_tokens: int) -> int:
        """Count the pages that no token after the first `n_tokens` sees."""
        return self.pool.n_unseen(n_tokens)

    def parts(self) -> Iterator[tuple[str, memoryview]]:
        """Yield the name and the bytes of each page that is held, and of each state."""
        for number, page in enumerate(self._pages, self._n_gone):
            yield f"pages/{number}", page.data.data
        if self._states is not None and self._n_past:
            for length, block in self._states.by_length(self._n_past).items():
                yield f"states/{length}", block.data.data

    def restore(
        self,
        n_tokens: int,
        n_gone: int,
        read: ReadPart,
        snapshots: tuple[int, ...] = (),
    ) -> None:
        """Hold `n_tokens` of a sequence that was saved; it was empty."""
        assert n_gone <= self.most_gone(n_tokens)
        self._n_past = n_gone * self.pool.page_tokens
        self._n_gone = n_gone
        with self.pool.lock:
            self._reserve_pages(n_tokens - self._n_past)
        for number, page in enumerate(self._pages, n_gone):
            data = read(f"pages/{number}", self.pool.page_bytes)
            page.data[:] = np.frombuffer(data, np.uint8)
        self._n_past = n_tokens
        if self._states is None or not n_tokens:
            return
        for length in dict.fromkeys((*snapshots, n_tokens)):
            with self.pool.lock:
                block = self._states.renew()
                if length in snapshots:
                    self._states.keep(length)
            data = read(f"states/{length}", self._states.pool.block_bytes)
            block.data[:] = np.frombuffer(data, np.uint8)

    def spans(self, n_tokens: int) -> list[Span]:
        """Return the rows of a pass, which `reserve` has made room for, in spans.

        The pass is to be counted by `advance`, or else taken back by `abandon`.
        """
        if self._states is None:
            return [Span(n_tokens, 0, 0)]
        return self._states.spans(self._n_past, n_tokens)

    def advance(self, n_tokens: int) -> None:
        """Count `n_tokens` as written; give back pages that no later token can see."""
        with self.pool.lock:
            self._n_past += n_tokens
            if self._states is not None:
                self._states.take_over(self._n_past)
            n_gone = self.pool.n_unseen(max(0, self._n_past - MARGIN))
            self._give_back(max(0, n_gone - self._n_gone))

    def abandon(self) -> None:
        """Take back a pass that may have written half of its rows."""
        with self.pool.lock:
            if self._states is not None and self._states.drop_next():
                n = self._nearest_snapshot(self._n_past - 1)
                self._states.return_to(n)
                self._return_to(n)

    def mark(self, lengths: Iterable[int]) -> None:
        """Keep a snapshot of the states at these lengths, that of now or later ones."""
        with self.pool.lock:
            if self._states is not None and not self._is_closed:
                self._states.mark(self._n_past, lengths)

    def try_rows(self, n_rows: int) -> None:
        """Let the next pass, of that many rows, be taken back to any of them."""
        with self.pool.lock:
            if self._states is not None:
                self._states.try_rows(n_rows)

    def thin(self) -> bool:
        """Let the oldest snapshot go, if it is not the last; whether there was one."""
        with self.pool.lock:
            return self._states is not None and self._states.thin()

    def fork(self) -> PagedSequence:
        """Return a sequence with the same tokens; memory is shared, copied on write."""
        with self.pool.lock:
            if self._is_closed:
                raise ClosedError("the sequence is closed")
            twin = PagedSequence(self.pool)
            twin._n_gone = self._n_gone
            for index, page in enumerate(self._pages):
                self.pool.share(page)
                twin._set(index, page)
            twin._n_past, twin.n_long = self._n_past, self.n_long
            twin.adapted_from = self.adapted_from
            if self._states is not None:
                twin._states = self._states.fork()
            return twin

    def can_go_back(self, n: int) -> bool:
        """Whether all pages, and a state, are held that a token after `n` reads."""
        return self.nearest(n) == n

    def nearest(self, n: int) -> int:
        """Return the most tokens, up to `n`, that it can go back to; 0 if to none."""
        with self.pool.lock:
            if self._states is not None and n != self._n_past:
                return self._nearest_snapshot(n)
            return n if self._n_gone <= self.pool.n_unseen(n) else 0

    def truncate(self, n: int) -> None:
        """Forget all but the first `n` tokens, or what is `nearest` to them.

        Raises
        ------
        ArgumentError
            `n` is not within 0 and `n_past`.
        """
        if not 0 <= n <= self._n_past:
            raise ArgumentError(f"n: wanted 0 to {self._n_past}, found {n}")
        with self.pool.lock:
            nearest = self.nearest(n)
            if 0 < nearest < n:
                _logger.debug(
                    "a text of %d tokens, of which %d are to stay, goes back to %d: "
                    "there was the last snapshot of its recurrent layers' states",
                    *(self._n_past, n, nearest),
                )
            self._return_to(nearest)

    def close(self) -> None:
        """Give the pages back; may be called again."""
        if not self._is_closed:
            self.truncate(0)
            self._is_closed = True

    def __del__(self) -> None:
        self.close()

    # All of these are called with the pool's lock held.

    def _reserve_pages(self, n_tokens: int) -> None:
        size, n_gone = self.pool.page_tokens, self._n_gone
        first = self._n_past // size - n_gone
        end = -(-(self._n_past + n_tokens) // size) - n_gone
        for index in range(first, min(end, len(self._pages))):
            self._own(index)
        while len(self._pages) < end:
            self._set(len(self._pages), self.pool.take())

    def _nearest_snapshot(self, n: int) -> int:
        """Return the last length, up to `n`, whose states and pages are held."""
        assert self._states is not None
        lengths = [0, *(each for each in self._states.lengths if each <= n)]
        while self._n_gone > self.pool.n_unseen(lengths[-1]) and lengths[-1]:
            lengths.pop()
        return lengths[-1]

    def _return_to(self, n: int) -> None:
        """Forget all but the first `n` tokens, which it can go back to."""
        if n == 0:
            self._give_back(len(self._pages))
            self._n_gone = 0
        n_pages = -(-n // self.pool.page_tokens) - self._n_gone
        while len(self._pages) > n_pages:
            self.pool.give_back(self._pages.pop())
        if self._states is not None and (n < self._n_past or n == 0):
            self._states.return_to(n)
        self._n_past = n

    def _own(self, index: int) -> None:
        """Replace a page that other sequences hold too by a copy: copy-on-write."""
        page = self._pages[index]
        if page.n_holders > 1:
            copy = self.pool.take()
            np.copyto(copy.data, page.data)
            self.pool.give_back(page)
            self._set(index, copy)

    def _set(self, index: int, page: Page) -> None:
        if index == len(self._pages):
            self._pages.append(page)
        else:
            self._pages[index] = page
        number = self._n_gone + index
        if number >= len(self._addresses):
            self._addresses = np.resize(self._addresses, 2 * number)
        self._addresses[number] = page.address

    def _give_back(self, n_pages: int) -> None:
        """Give the first `n_pages` back."""
        for page in self._pages[:n_pages]:
            self.pool.give_back(page)
        del self._pages[:n_pages]
        self._addresses[self._n_gone : self._n_gone + n_pages] = 0
        self._n_gone += n_pages
