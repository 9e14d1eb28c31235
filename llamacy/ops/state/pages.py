"""The KV cache's memory: a pool of pages of tokens, shared by reference count.

A page holds the keys and values of a fixed number of consecutive tokens, for all
layers and heads, as the attention kernels read them. A sequence is a list of pages:
they are taken as its tokens come and given back when it is closed; a fork shares them,
and the last page is copied when either side writes to it (copy-on-write). (Kwon et al.
2023, arXiv:2309.06180.)

Where the attention of every layer has a window, a text that grows gives back the pages
that no later token can see. One layer without a window keeps them all, as a page holds
its tokens for all layers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import OutOfMemoryError
from llamacy.ops.memory import large_pages
from llamacy.ops.state.layout import ALIGNMENT
from llamacy.ops.state.windows import n_unseen_pages
from llamacy.system.forks import Rank, fork_lock

SLAB_BYTES = 16 * 2**20  # of memory that pages are cut from: several large pages


class Page:
    """Memory of one page, and the number of sequences that hold it."""

    __slots__ = ("address", "data", "n_holders")

    def __init__(self, data: NDArray[np.uint8]) -> None:
        data.fill(0)  # touched now, not in the first forward pass
        self.data = data
        self.address = int(data.ctypes.data)
        self.n_holders = 0


class PagePool:
    """Pages of one size; spare pages are used again before new ones are made.

    Parameters
    ----------
    page_tokens : int
        Tokens of a page.
    page_bytes : int
        Bytes of a page.
    window : int or None
        Most tokens that attention sees in any layer, the last row's own among them;
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
        self._slab: NDArray[np.uint8] = np.empty(0, np.uint8)  # yet to be cut
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
        OutOfMemoryError
            There is no memory for a new page.
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
        """Give spare pages back to the system: slabs of which no page is in use."""
        with self.lock:
            self._spare.clear()
            self._slab = self._slab[:0].copy()

    def n_unseen(self, n: int) -> int:
        """Count the pages of a text that no token after the first `n` sees."""
        return n_unseen_pages(n, self.page_tokens, self.window)

    def _cut(self) -> Page:
        """Return a new page."""
        size = max(1, -(-self.page_bytes // ALIGNMENT)) * ALIGNMENT
        if len(self._slab) < size:
            self._slab = large_pages(max(SLAB_BYTES // size, 1) * size)
        page = Page(self._slab[: self.page_bytes])
        self._slab = self._slab[size:]
        return page
