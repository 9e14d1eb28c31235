"""Guessed tokens after a text, which only the model's MTP head reads.

Their keys and values are in the text's own pages, behind its tokens, where the tokens
that do follow are written over them. Other states of the head are in a small block of
its own: those of the text stay as they are.
"""

from __future__ import annotations

from llamacy.ops.state.pages import BlockPool, Page
from llamacy.ops.state.text_pages import TextPages
from llamacy.ops.state.text_states import Span


class Lookahead:
    """The guessed tokens after one text, until it goes on.

    Parameters
    ----------
    pages : TextPages
        The text's pages.
    n_past, n_long : int
        The text's.
    block : Page
        The head's states after the text, for this lookahead alone.
    blocks : BlockPool
        Where the block is from.

    Attributes
    ----------
    n_past : int
        Tokens of the text, and guessed ones that were read.
    n_long : int
        The text's.
    """

    def __init__(
        self, pages: TextPages, n_past: int, n_long: int, block: Page, blocks: BlockPool
    ) -> None:
        self.n_past, self.n_long = n_past, n_long
        self._pages = pages
        self._n_text = n_past
        self._block = block
        self._blocks = blocks

    @property
    def page_table(self) -> int:
        """Address of the array of page addresses, for the kernels."""
        return self._pages.table

    @property
    def needs_page(self) -> bool:
        """Whether the next token is the first of a page."""
        return self.n_past % self._pages.pool.page_tokens == 0

    def reserve(self, n_tokens: int) -> None:
        """Make room to write `n_tokens` more.

        Raises
        ------
        OutOfMemoryError
            There is no memory for a new page.
        """
        with self._pages.pool.lock:
            self._pages.reserve(self.n_past, n_tokens)

    def spans(self, n_tokens: int) -> list[Span]:
        """Return the rows of a pass, and where the head's states are."""
        return [Span(n_tokens, self._block.address, self._block.address)]

    def advance(self, n_tokens: int) -> None:
        """Count `n_tokens` as read."""
        self.n_past += n_tokens

    def abandon(self) -> None:
        """Take back a pass that may have written half of its row: it goes unread."""
        return

    def close(self) -> None:
        """Give memory back, pages that have no tokens of the text among it.

        To be called before the text goes on, once.
        """
        self._blocks.give_back(self._block)
        with self._pages.pool.lock:
            self._pages.cut(self._n_text)
