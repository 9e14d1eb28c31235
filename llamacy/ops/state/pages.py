"""The memory of texts: pools of blocks, shared by reference count.

A page holds the keys and values of a fixed number of consecutive tokens, for all
layers and heads, as the attention kernels read them. A sequence is a list of pages:
they are taken as its tokens come and given back when it is closed; a fork shares them,
and the last page is copied when either side writes to it (copy-on-write). (Kwon et al.
2023, arXiv:2309.06180.)

Where the attention of every layer has a window, a text that grows gives back the pages
that no later token can see. One layer without a window keeps them all, as a page holds
its tokens for all layers.

States of a fixed size are in blocks of another pool, one for each text and for each
snapshot of it.
"""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import OutOfMemoryError
from llamacy.ops.memory import large_pages
from llamacy.ops.state.page_numbers import PageNumbers
from llamacy.ops.state.specs import ALIGNMENT
from llamacy.ops.state.windows import n_unseen_pages
from llamacy.system.forks import Rank, fork_lock

SLAB_BYTES = 16 * 2**20  # of memory that pages are cut from: several large pages


class Page:
    """Memory of one page, or of one text's states, and how often it is held."""

    __slots__ = ("address", "data", "n_holders")

    def __init__(self, data: NDArray[np.uint8]) -> None:
        data.fill(0)  # touched now, not in the first forward pass
        self.data = data
        self.address = int(data.ctypes.data)
        self.n_holders = 0


class BlockPool:
    """Blocks of one size; spare ones are used again before new ones are made.

    Parameters
    ----------
    block_bytes : int
        Bytes of a block.
    content : str
        The name of it, for errors.
    lock : RLock
        Guards the pool.
    """

    def __init__(self, block_bytes: int, content: str, lock: threading.RLock) -> None:
        self.block_bytes = block_bytes
        self.lock = lock
        self._content = content
        self._spare: list[Page] = []
        self._slab: NDArray[np.uint8] = np.empty(0, np.uint8)  # yet to be cut
        self._n_used = 0

    @property
    def nbytes(self) -> int:
        """Bytes held, in use and spare."""
        with self.lock:
            return (self._n_used + len(self._spare)) * self.block_bytes

    @property
    def n_used(self) -> int:
        """Blocks held by sequences."""
        return self._n_used

    @property
    def n_spare(self) -> int:
        """Blocks that were given back and can be taken again."""
        return len(self._spare)

    def take(self) -> Page:
        """Return a block, held once, with anything in it.

        Raises
        ------
        OutOfMemoryError
            There is no memory for a new one.
        """
        with self.lock:
            try:
                page = self._spare.pop() if self._spare else self._cut()
            except MemoryError as error:
                held = self._n_used * self.block_bytes
                raise OutOfMemoryError(
                    f"no memory for {self.block_bytes} more bytes of {self._content}, "
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
        """Give spare blocks back to the system: slabs of which none is in use."""
        with self.lock:
            self._spare.clear()
            self._slab = self._slab[:0].copy()

    def _cut(self) -> Page:
        """Return a new block."""
        size = max(1, -(-self.block_bytes // ALIGNMENT)) * ALIGNMENT
        if len(self._slab) < size:
            self._slab = large_pages(max(SLAB_BYTES // size, 1) * size)
        page = Page(self._slab[: self.block_bytes])
        self._slab = self._slab[size:]
        return page


class PagePool(BlockPool):
    """Pages of one size, and blocks for the states beside them.

    Parameters
    ----------
    page_tokens : int
        Tokens of a page.
    page_bytes : int
        Bytes of a page.
    window : int or None
        Most tokens that attention sees in any layer, the last row's own among them;
        None for all.
    text_bytes : int
        Bytes of a text's states of a fixed size; 0 if no layer has any.
    n_snapshots : int
        Most snapshots of them that a text keeps.
    numbers : PageNumbers, optional
        The type of the numbers in pages; None leaves pages as they are taken.

    Attributes
    ----------
    states : BlockPool or None
        Blocks of such states; None if no layer has any.
    """

    def __init__(
        self,
        page_tokens: int,
        page_bytes: int,
        window: int | None = None,
        *,
        text_bytes: int = 0,
        n_snapshots: int = 0,
        numbers: PageNumbers | None = None,
    ) -> None:
        lock = fork_lock(Rank.PAGES)
        super().__init__(page_bytes, "KV cache", lock)
        self.page_tokens = page_tokens
        self.window = window
        self.n_snapshots = n_snapshots
        self.numbers = numbers
        self.states: BlockPool | None = None
        if text_bytes:
            self.states = BlockPool(text_bytes, "recurrent states", lock)

    @property
    def page_bytes(self) -> int:
        """Bytes of a page."""
        return self.block_bytes

    @property
    def bytes_used(self) -> int:
        """Bytes that sequences hold, of pages and of states."""
        with self.lock:
            n_bytes = self.n_used * self.page_bytes
            if self.states is not None:
                n_bytes += self.states.n_used * self.states.block_bytes
            return n_bytes

    def take(self) -> Page:
        """Return a page, held once: of 0 if `numbers` asks for it, else of anything.

        Raises
        ------
        OutOfMemoryError
            There is no memory for a new one.
        """
        page = super().take()
        if self.numbers is not None and self.numbers.are_cleared:
            page.data.fill(0)
        return page

    def trim(self) -> None:
        """Give spare memory back to the system."""
        super().trim()
        if self.states is not None:
            self.states.trim()

    def n_unseen(self, n: int) -> int:
        """Count the pages of a text that no token after the first `n` sees."""
        return n_unseen_pages(n, self.page_tokens, self.window)
