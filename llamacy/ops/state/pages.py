"""The KV cache: a pool of pages of tokens, shared between sequences by reference count.

A page holds the keys and values of a fixed number of consecutive tokens, for all
layers and heads, as the attention kernels read them. A sequence is a list of pages,
taken as its tokens come and given back when it is closed; a fork shares them, and the
last one is copied when either side writes to it. (Kwon et al. 2023, arXiv:2309.06180.)

Where the attention of every layer has a window, a text that grows gives the pages back
that no token to come can see. One layer without a window keeps them all, as a page
holds its tokens for all layers.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import ArgumentError, ClosedError, OutOfMemoryError
from llamacy.ops.memory import large_pages
from llamacy.ops.state.windows import MARGIN, n_unseen_pages
from llamacy.system.forks import Rank, fork_lock

ALIGNMENT = 64  # bytes: a cache line, and the widest vector
SLAB_BYTES = 16 * 2**20  # of memory that pages are cut from: several large pages


class Page:
    """Memory for one page's keys and values, and how many sequences hold it."""

    __slots__ = ("address", "data", "n_holders")

    def __init__(self, data: NDArray[np.uint8]) -> None:
        data.fill(0)  # touched now, not in the first forward pass
        self.data = data
        self.address = int(data.ctypes.data)
        self.n_holders = 0


class PagePool:
    """Pages of one size; those given back are used again before new ones are made.

    Parameters
    ----------
    page_tokens : tokens of a page.
    page_bytes : bytes of a page.
    window : tokens that attention sees in any layer, the last one's own among them;
        None for all.
    """

    def __init__(
        self, page_tokens: int, page_bytes: int, window: int | None = None
    ) -> None:
        self.page_tokens = page_tokens
        self.page_bytes = page_bytes
        self.window = window
        self.lock = fork_lock(Rank.PAGES)
        self._spare: list[Page] = []
        self._slab: NDArray[np.uint8] = np.empty(0, np.uint8)  # what is left of it
        self._n_used = 0

    @property
    def nbytes(self) -> int:
        """Bytes held, in use and spare."""
        with self.lock:
            return (self._n_used + len(self._spare)) * self.page_bytes

    @property
    def n_used(self) -> int:
        """Pages held by sequences."""
        return self._n_used

    @property
    def n_spare(self) -> int:
        """Pages that were given back and can be taken again."""
        return len(self._spare)

    def take(self) -> Page:
        """Return a page, held once.

        Raises
        ------
        OutOfMemoryError : no memory for a new page.
        """
        with self.lock:
            try:
                page = self._spare.pop() if self._spare else self._cut()
            except MemoryError as error:
                held = self._n_used * self.page_bytes
                raise OutOfMemoryError(
                    f"no memory for {self.page_bytes} more bytes of KV cache, "
                    f"beside {held} in use"
                ) from error
            page.n_holders = 1
            self._n_used += 1
            return page

    def share(self, page: Page) -> None:
        """Count one more holder of `page`."""
        with self.lock:
            page.n_holders += 1

    def give_back(self, page: Page) -> None:
        """Count one holder less; the last one frees the page."""
        with self.lock:
            page.n_holders -= 1
            if page.n_holders == 0:
                self._n_used -= 1
                self._spare.append(page)

    def trim(self) -> None:
        """Return spare pages to the system, slabs of which no page is in use."""
        with self.lock:
            self._spare.clear()
            self._slab = self._slab[:0].copy()

    def n_unseen(self, n: int) -> int:
        """Count the pages of a text that no token after the first `n` sees."""
        return n_unseen_pages(n, self.page_tokens, self.window)

    def _cut(self) -> Page:
        """Return a new page."""
        size = -(-self.page_bytes // ALIGNMENT) * ALIGNMENT
        if len(self._slab) < size:
            self._slab = large_pages(max(SLAB_BYTES // size, 1) * size)
        page = Page(self._slab[: self.page_bytes])
        self._slab = self._slab[size:]
        return page


class PagedSequence:
    """The pages of one text's tokens."""

    def __init__(self, pool: PagePool) -> None:
        self.pool = pool
        self._pages: list[Page] = []
        self._n_gone = 0  # pages given back that come before these
        self._addresses: NDArray[np.uintp] = np.zeros(8, np.uintp)
        self._n_past = 0
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
    def n_gone(self) -> int:
        """Pages that came before these, and were given back."""
        return self._n_gone

    @property
    def page_table(self) -> int:
        """Address of the page addresses, for the kernels; 0 for those that are gone."""
        return int(self._addresses.ctypes.data)

    def reserve(self, n_tokens: int) -> None:
        """Make room to write `n_tokens` more, in pages nobody else holds."""
        if self._is_closed:
            raise ClosedError("the sequence is closed")
        with self.pool.lock:
            size, n_gone = self.pool.page_tokens, self._n_gone
            first = self._n_past // size - n_gone
            end = -(-(self._n_past + n_tokens) // size) - n_gone
            for index in range(first, min(end, len(self._pages))):
                self._own(index)
            while len(self._pages) < end:
                self._set(len(self._pages), self.pool.take())

    def restore(
        self, n_tokens: int, n_gone: int, pages: Iterable[NDArray[np.uint8]]
    ) -> None:
        """Hold `n_tokens` of a sequence that was saved; was empty.

        Parameters
        ----------
        n_gone : pages it had given back; those that are seen cannot be.
        pages : the others, uint8, (page_bytes,) each.
        """
        assert n_gone <= self.pool.n_unseen(n_tokens)
        self._n_past = n_gone * self.pool.page_tokens
        self._n_gone = n_gone
        self.reserve(n_tokens - self._n_past)
        for page, data in zip(self._pages, pages, strict=True):
            page.data[:] = data
        self._n_past = n_tokens

    def advance(self, n_tokens: int) -> None:
        """Count `n_tokens` as written; what no token to come can see goes."""
        with self.pool.lock:
            self._n_past += n_tokens
            n_gone = self.pool.n_unseen(max(0, self._n_past - MARGIN))
            self._give_back(max(0, n_gone - self._n_gone))

    def fork(self) -> PagedSequence:
        """Return a sequence with the same tokens, sharing the pages."""
        with self.pool.lock:
            if self._is_closed:
                raise ClosedError("the sequence is closed")
            twin = PagedSequence(self.pool)
            twin._n_gone = self._n_gone
            for index, page in enumerate(self._pages):
                self.pool.share(page)
                twin._set(index, page)
            twin._n_past = self._n_past
            return twin

    def can_go_back(self, n: int) -> bool:
        """Whether what a token after the first `n` sees is all there."""
        return n == 0 or self._n_gone <= self.pool.n_unseen(n)

    def truncate(self, n: int) -> None:
        """Forget all but the first `n` tokens, and those too unless `can_go_back`."""
        if not 0 <= n <= self._n_past:
            raise ArgumentError(f"n: wanted 0 to {self._n_past}, found {n}")
        with self.pool.lock:
            if n == 0 or not self.can_go_back(n):
                self._give_back(len(self._pages))
                self._n_past = self._n_gone = 0
                return
            n_pages = -(-n // self.pool.page_tokens) - self._n_gone
            while len(self._pages) > n_pages:
                self.pool.give_back(self._pages.pop())
            self._n_past = n

    def close(self) -> None:
        """Give the pages back; may be called again."""
        if not self._is_closed:
            self.truncate(0)
            self._is_closed = True

    def __del__(self) -> None:
        self.close()

    def _own(self, index: int) -> None:
        """Replace a page that others hold too by a copy."""
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
