"""The plan's sequence: all states of one text, each in memory that texts share.

Keys and values of its tokens are in pages, and beside them, for layers that have one,
there is a state of a fixed size.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import ArgumentError, ClosedError
from llamacy.ops.state.lookahead import Lookahead
from llamacy.ops.state.pages import BlockPool, Page, PagePool
from llamacy.ops.state.sequence import NEVER, ReadPart
from llamacy.ops.state.text_pages import TextPages
from llamacy.ops.state.text_states import Span, TextStates
from llamacy.ops.state.windows import MARGIN

_logger = logging.getLogger("llamacy")


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
        self._pages = TextPages(pool)
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
    def page_type(self) -> str | None:
        """Type of the numbers in its pages; None if nobody has said."""
        return None if self.pool.numbers is None else self.pool.numbers.page_type

    @property
    def readable_page_types(self) -> frozenset[str]:
        """Types of pages that `restore` takes; none if nobody has said."""
        return self.pool.numbers.readable if self.pool.numbers else frozenset()

    @property
    def n_pages(self) -> int:
        """Pages held, shared ones included."""
        return len(self._pages.held)

    @property
    def pages(self) -> tuple[Page, ...]:
        """Pages held, shared ones included."""
        return tuple(self._pages.held)

    @property
    def memory(self) -> Mapping[Hashable, int]:
        """Bytes of the pages and blocks held, shared ones included."""
        sizes: dict[Hashable, int] = dict.fromkeys(self.pages, self.pool.page_bytes)
        if self._states is not None:
            sizes |= dict.fromkeys(self._states.blocks, self._states.pool.block_bytes)
        return sizes

    @property
    def n_gone(self) -> int:
        """Pages at the beginning that were given back."""
        return self._pages.n_gone

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
        return self._pages.table

    @property
    def needs_page(self) -> bool:
        """Whether the next token is the first of a page."""
        return self._n_past % self.pool.page_tokens == 0

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
            self._pages.reserve(self._n_past, n_tokens)
            if self._states is not None:
                self._states.reserve(self._n_past, n_tokens, self.adapted_from)

    def most_gone(self, n_tokens: int) -> int:
        """Count the pages that no token after the first `n_tokens` sees."""
        return self.pool.n_unseen(n_tokens)

    def parts(self) -> Iterator[tuple[str, memoryview]]:
        """Yield the name and the bytes of each page that is held, and of each state."""
        for number, page in enumerate(self._pages.held, self._pages.n_gone):
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
        page_type: str | None = None,
    ) -> None:
        """Hold `n_tokens` of a sequence that was saved; it was empty."""
        assert n_gone <= self.most_gone(n_tokens)
        self._pages.n_gone = n_gone
        self._n_past = n_gone * self.pool.page_tokens
        with self.pool.lock:
            self._pages.reserve(self._n_past, n_tokens - self._n_past)
        for number, page in enumerate(self._pages.held, n_gone):
            data = read(f"pages/{number}", self.pool.page_bytes)
            page.data[:] = self._read(data, page_type)
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

    def _read(
        self, data: bytes | memoryview, page_type: str | None
    ) -> NDArray[np.uint8]:
        if page_type is None or self.pool.numbers is None:
            return np.frombuffer(data, np.uint8)
        return self.pool.numbers.read(data, page_type)

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
            if self.pool.window is not None:
                n_gone = self.pool.n_unseen(max(0, self._n_past - MARGIN))
                self._pages.give_back_before(n_gone)

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
            twin._pages.share(self._pages)
            twin._n_past, twin.n_long = self._n_past, self.n_long
            twin.adapted_from = self.adapted_from
            if self._states is not None:
                twin._states = self._states.fork()
            return twin

    def look_ahead(
        self, blocks: BlockPool, kept: Iterable[tuple[int, int, int]]
    ) -> Lookahead:
        """Return a lookahead after the tokens read, at least one.

        Parameters
        ----------
        blocks : BlockPool
            Where the block of its states comes from.
        kept : iterable of (int, int, int)
            The states that it begins with: their offsets in the text's block and in its
            own, and their bytes.

        Raises
        ------
        ClosedError
            The sequence is closed.
        OutOfMemoryError
            There is no memory for a block.
        """
        with self.pool.lock:
            if self._is_closed:
                raise ClosedError("the sequence is closed")
            assert self._states is not None
            now, block = self._states.now.data, blocks.take()
            for source, target, n_bytes in kept:
                block.data[target : target + n_bytes] = now[source : source + n_bytes]
            return Lookahead(self._pages, self._n_past, self.n_long, block, blocks)

    def can_go_back(self, n: int) -> bool:
        """Whether all pages, and a state, are held that a token after `n` reads."""
        return self.nearest(n) == n

    def nearest(self, n: int) -> int:
        """Return the most tokens, up to `n`, that it can go back to; 0 if to none."""
        with self.pool.lock:
            if self._states is not None and n != self._n_past:
                return self._nearest_snapshot(n)
            return n if self.n_gone <= self.pool.n_unseen(n) else 0

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

    # Both are called with the pool's lock held.

    def _nearest_snapshot(self, n: int) -> int:
        """Return the last length, up to `n`, whose states and pages are held."""
        assert self._states is not None
        lengths = [0, *(each for each in self._states.lengths if each <= n)]
        while self.n_gone > self.pool.n_unseen(lengths[-1]) and lengths[-1]:
            lengths.pop()
        return lengths[-1]

    def _return_to(self, n: int) -> None:
        """Forget all but the first `n` tokens, which it can go back to."""
        self._pages.cut(n)
        if self._states is not None and (n < self._n_past or n == 0):
            self._states.return_to(n)
        self._n_past = n
