"""One text's state between forward passes: a protocol, and its pages.

A sequence grows with its text, forks with it, and goes back with it as far as it can.
All states of a text are under one sequence: its tokens' keys and values in pages, and
beside them, for layers that have one, a state of a fixed size.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Final, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import ArgumentError, ClosedError
from llamacy.ops.state.pages import Page, PagePool
from llamacy.ops.state.windows import MARGIN

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
    def pages(self) -> tuple[Hashable, ...]:
        """The pieces of memory that hold them; forks have pieces in common."""

    def fork(self) -> SequenceState:
        """Return a sequence that begins with the same tokens, copied on write."""

    def can_go_back(self, n: int) -> bool:
        """Whether everything is there that a token after the first `n` reads."""

    def truncate(self, n: int) -> None:
        """Forget all but the first `n` tokens, and those too unless `can_go_back`."""

    def close(self) -> None:
        """Give the memory back; may be called again."""


@runtime_checkable
class SavableSequence(SequenceState, Protocol):
    """A sequence that can be written to a file, part by part, and read back."""

    @property
    def n_gone(self) -> int:
        """Pages at the beginning that were given back, and are not among the parts."""

    def most_gone(self, n_tokens: int) -> int:
        """Count the pages that a sequence of `n_tokens` can do without."""

    def parts(self) -> Iterator[tuple[str, memoryview]]:
        """Yield the name and the bytes of each part of its state."""

    def restore(self, n_tokens: int, n_gone: int, read: ReadPart) -> None:
        """Hold `n_tokens` of a sequence that was saved; it was empty.

        Parameters
        ----------
        n_tokens : int
            Tokens of the saved sequence.
        n_gone : int
            Its `n_gone`, at most `most_gone(n_tokens)`.
        read : callable
            Returns the bytes of a part, of (its name, its size).
        """


class PagedSequence:
    """The pages of one text's tokens.

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
        """Pages at the beginning that were given back."""
        return self._n_gone

    @property
    def page_table(self) -> int:
        """Address of the array of page addresses, for the kernels; gone pages are 0."""
        return int(self._addresses.ctypes.data)

    def reserve(self, n_tokens: int) -> None:
        """Make room to write `n_tokens` more, in pages that no other sequence holds.

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
            size, n_gone = self.pool.page_tokens, self._n_gone
            first = self._n_past // size - n_gone
            end = -(-(self._n_past + n_tokens) // size) - n_gone
            for index in range(first, min(end, len(self._pages))):
                self._own(index)
            while len(self._pages) < end:
                self._set(len(self._pages), self.pool.take())

    def most_gone(self, n_tokens: int) -> int:
        """Count the pages that no token after the first `n_tokens` sees."""
        return self.pool.n_unseen(n_tokens)

    def parts(self) -> Iterator[tuple[str, memoryview]]:
        """Yield the name and the bytes of each page that is held."""
        for number, page in enumerate(self._pages, self._n_gone):
            yield f"pages/{number}", page.data.data

    def restore(self, n_tokens: int, n_gone: int, read: ReadPart) -> None:
        """Hold `n_tokens` of a sequence that was saved; it was empty."""
        assert n_gone <= self.most_gone(n_tokens)
        self._n_past = n_gone * self.pool.page_tokens
        self._n_gone = n_gone
        self.reserve(n_tokens - self._n_past)
        for number, page in enumerate(self._pages, n_gone):
            data = read(f"pages/{number}", self.pool.page_bytes)
            page.data[:] = np.frombuffer(data, np.uint8)
        self._n_past = n_tokens

    def advance(self, n_tokens: int) -> None:
        """Count `n_tokens` as written; give back pages that no later token can see."""
        with self.pool.lock:
            self._n_past += n_tokens
            n_gone = self.pool.n_unseen(max(0, self._n_past - MARGIN))
            self._give_back(max(0, n_gone - self._n_gone))

    def fork(self) -> PagedSequence:
        """Return a sequence with the same tokens; pages are shared, copied on write."""
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
            return twin

    def can_go_back(self, n: int) -> bool:
        """Whether all pages are held that a token after the first `n` sees."""
        return n == 0 or self._n_gone <= self.pool.n_unseen(n)

    def truncate(self, n: int) -> None:
        """Forget all but the first `n` tokens, and those too unless `can_go_back`.

        Raises
        ------
        ArgumentError
            `n` is not within 0 and `n_past`.
        """
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
