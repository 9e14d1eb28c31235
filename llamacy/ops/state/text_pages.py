"""One text's pages of keys and values, in the order of its tokens.

They are taken as the text grows, shared with its forks, and copied when either writes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamacy.ops.state.pages import Page, PagePool


class TextPages:
    """The pages of one text; all methods are called with the pool's lock held.

    Parameters
    ----------
    pool : PagePool
        Where its pages come from.

    Attributes
    ----------
    held : list of Page
        The pages held, shared ones included.
    n_gone : int
        Pages before these that were given back.
    addresses : uintptr, (n_pages or more,)
        Their addresses by the numbers of the pages; gone ones are 0.
    table : int
        Address of that array, for the kernels.
    """

    def __init__(self, pool: PagePool) -> None:
        self.pool = pool
        self.held: list[Page] = []
        self.n_gone = 0
        self._use(np.zeros(8, np.uintp))

    def _use(self, addresses: NDArray[np.uintp]) -> None:
        self.addresses = addresses
        self.table = int(addresses.ctypes.data)

    def reserve(self, n_past: int, n_tokens: int) -> None:
        """Make room to write `n_tokens` after `n_past`, in pages held by no other.

        Raises
        ------
        OutOfMemoryError
            There is no memory for a new page.
        """
        size, n_gone = self.pool.page_tokens, self.n_gone
        first = n_past // size - n_gone
        end = -(-(n_past + n_tokens) // size) - n_gone
        for index in range(first, min(end, len(self.held))):
            self._own(index)
        while len(self.held) < end:
            self._set(len(self.held), self.pool.take())

    def share(self, other: TextPages) -> None:
        """Hold the pages of another text too; it holds no others."""
        self.n_gone = other.n_gone
        for index, page in enumerate(other.held):
            self.pool.share(page)
            self._set(index, page)

    def give_back_before(self, number: int) -> None:
        """Give the pages before one back, which no later token can see."""
        self._give_back(max(0, number - self.n_gone))

    def cut(self, n_tokens: int) -> None:
        """Give back the pages that are not of the first `n_tokens`."""
        if n_tokens == 0:
            self._give_back(len(self.held))
            self.n_gone = 0
        n_pages = -(-n_tokens // self.pool.page_tokens) - self.n_gone
        while len(self.held) > n_pages:
            self.pool.give_back(self.held.pop())

    def _own(self, index: int) -> None:
        """Replace a page that other sequences hold too by a copy: copy-on-write."""
        page = self.held[index]
        if page.n_holders > 1:
            copy = self.pool.take()
            np.copyto(copy.data, page.data)
            self.pool.give_back(page)
            self._set(index, copy)

    def _set(self, index: int, page: Page) -> None:
        if index == len(self.held):
            self.held.append(page)
        else:
            self.held[index] = page
        number = self.n_gone + index
        if number >= len(self.addresses):
            self._use(np.resize(self.addresses, 2 * number))
        self.addresses[number] = page.address

    def _give_back(self, n_pages: int) -> None:
        """Give the first `n_pages` back."""
        if not n_pages:
            return
        for page in self.held[:n_pages]:
            self.pool.give_back(page)
        del self.held[:n_pages]
        self.addresses[self.n_gone : self.n_gone + n_pages] = 0
        self.n_gone += n_pages
