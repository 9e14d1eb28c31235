"""What the windows of attention leave of a text's keys and values, and what may go.

A page holds its tokens for all layers, so the widest window decides; one layer without
a window, which sees the whole text, keeps everything.
"""

from __future__ import annotations

from collections.abc import Iterable

from llamacy.ops.plan.recorder import Node

MARGIN = 512
"""Tokens kept before what a window sees: a text can go so far back, or another one that
leaves it there can go on from it, with nothing to be read again."""


def common_window(nodes: Iterable[Node]) -> int | None:
    """Find the tokens that the widest window sees; None if one layer sees all."""
    windows = [node.state.window for node in nodes if node.state is not None]
    seen = [window for window in windows if window is not None]
    return max(seen) if seen and len(seen) == len(windows) else None


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
