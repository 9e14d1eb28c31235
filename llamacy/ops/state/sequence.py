"""What executors keep of one text between forward passes: as a protocol, and in pages.

A sequence grows with its text, forks with it, and goes back with it as far as it can.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import ArgumentError, ClosedError
from llamacy.ops.state.pages import Page, PagePool
from llamacy.ops.state.windows import MARGIN


class SequenceState(Protocol):
    """The keys and values of one text's tokens, kept between forward passes."""

    @property
    def n_past(self) -> int:
        """Tokens read; the next row of this sequence has this position."""

    @property
    def pages(self) -> tuple[Hashable, ...]:
        """The pieces of memory that hold them; forks have pieces in common."""

    def fork(self) -> SequenceState:
        """Return a sequence that begins with the same tokens, sharing memory."""

    def can_go_back(self, n: int) -> bool:
        """Whether nothing is gone that is read after the first `n` tokens."""

    def truncate(self, n: int) -> None:
        """Forget all but the first `n` tokens, and those too unless `can_go_back`."""

    def close(self) -> None:
        """Give the memory back; may be called again."""


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
