"""The KV cache: a pool of pages of tokens, shared between sequences by reference count.

A page holds the keys and values of a fixed number of consecutive tokens, for all
layers and heads, as the attention kernels read them. A sequence is a list of pages,
taken as its tokens come and given back when it is closed; a fork shares them, and the
last one is copied when either side writes to it. (Kwon et al. 2023, arXiv:2309.06180.)
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import ArgumentError, ClosedError, OutOfMemoryError
from llamacy.fork_locks import Rank, fork_lock
from llamacy.ops.memory import large_pages

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
    """

    def __init__(self, page_tokens: int, page_bytes: int) -> None:
        self.page_tokens = page_tokens
        self.page_bytes = page_bytes
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
        self._addresses: NDArray[np.uintp] = np.zeros(8, np.uintp)
        self._n_past = 0
        self._is_closed = False

    @property
    def n_past(self) -> int:
        """Tokens held."""
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
    def page_table(self) -> int:
        """Address of the page addresses, for the kernels."""
        return int(self._addresses.ctypes.data)

    def reserve(self, n_tokens: int) -> None:
        """Make room to write `n_tokens` more, in pages nobody else holds."""
        if self._is_closed:
            raise ClosedError("the sequence is closed")
        with self.pool.lock:
            size = self.pool.page_tokens
            first, end = self._n_past // size, -(-(self._n_past + n_tokens) // size)
            for index in range(first, min(end, len(self._pages))):
                self._own(index)
            while len(self._pages) < end:
                self._set(len(self._pages), self.pool.take())

    def restore(self, n_tokens: int, pages: Iterable[NDArray[np.uint8]]) -> None:
        """Hold `n_tokens` whose pages, uint8, (page_bytes,), were saved; was empty."""
        self.reserve(n_tokens)
        for page, data in zip(self._pages, pages, strict=True):
            page.data[:] = data
        self.advance(n_tokens)

    def advance(self, n_tokens: int) -> None:
        """Count `n_tokens` as written."""
        self._n_past += n_tokens

    def fork(self) -> PagedSequence:
        """Return a sequence with the same tokens, sharing the pages."""
        with self.pool.lock:
            if self._is_closed:
                raise ClosedError("the sequence is closed")
            twin = PagedSequence(self.pool)
            for index, page in enumerate(self._pages):
                self.pool.share(page)
                twin._set(index, page)
            twin._n_past = self._n_past
            return twin

    def truncate(self, n: int) -> None:
        """Forget all but the first `n` tokens."""
        if not 0 <= n <= self._n_past:
            raise ArgumentError(f"n: wanted 0 to {self._n_past}, found {n}")
        with self.pool.lock:
            n_pages = -(-n // self.pool.page_tokens)
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
        if index >= len(self._addresses):
            self._addresses = np.resize(self._addresses, 2 * index)
        self._addresses[index] = page.address
