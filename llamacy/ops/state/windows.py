"""What the windows of attention leave of a text's keys and values, and what may go.

A page holds its tokens for all layers, so the widest window decides; one layer without
a window, which sees the whole text, keeps everything.
"""

from __future__ import annotations

MARGIN = 512
"""Tokens kept before those that a window sees: a text can go back that far, or another
text that leaves it there can go on from it, with nothing to be read again."""


def n_read(first: int, n_rows: int, window: int | None) -> int:
    """Count the positions that any of `n_rows` rows from position `first` on sees."""
    n_positions = first + n_rows
    return n_positions if window is None else min(n_positions, window + n_rows - 1)


def n_seen(first: int, n_rows: int, window: int | None) -> int:
    """Sum up how many positions each of these rows sees."""
    n_positions = n_rows * first + n_rows * (n_rows + 1) // 2
    if window is not None:  # the last rows see 1, 2, 3 ... fewer, up to the last one
        least, most = max(0, first + 1 - window), max(0, first + n_rows - window)
        n_positions -= (most * (most + 1) - max(0, least - 1) * least) // 2
    return n_positions


def n_unseen_pages(n: int, page_tokens: int, window: int | None) -> int:
    """Count the pages of which no token after the first `n` sees anything."""
    return 0 if window is None else max(0, n + 1 - window) // page_tokens


def most_pages(
    n_tokens: int, page_tokens: int, window: int | None, n_batch: int
) -> int:
    """Count the pages that a text holds at most until it has `n_tokens`.

    A pass of `n_batch` rows, at most, adds its pages before the first ones go; those
    at both ends are held whole for one token.
    """
    n_pages = -(-n_tokens // page_tokens)
    if window is None:
        return n_pages
    n_held = window - 1 + MARGIN + n_batch + 2 * (page_tokens - 1)
    return min(n_pages, n_held // page_tokens)
