"""The order in which rows begin: some at a time, those that begin alike together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from os.path import commonprefix
from typing import Final

from llamacy.jobs.rows import Row, size_of

N_ROWS: Final = 512
"""Most rows of a window."""

N_BYTES: Final = 8 * 2**20
"""Bytes of a window, beyond which it takes no more rows."""

_ALIKE: Final = 64
"""Characters that prompts begin with alike, beyond what all of a window do, to be kept
together: they are worth more than a balance of lengths."""


def windows(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield rows some at a time, bounded by their number and by their bytes."""
    window: list[Row] = []
    n_bytes = 0
    for row in rows:
        window.append(row)
        n_bytes += size_of(row.content)
        if len(window) == N_ROWS or n_bytes >= N_BYTES:
            yield window
            window, n_bytes = [], 0
    if window:
        yield window


def order(beginnings: Sequence[str]) -> list[int]:
    """Return the order in which prompts should begin.

    Prompts that begin alike follow one another, so that what they have in common is
    read once. Groups of them, and prompts alone, come with the longest first: the last
    ones to end should be short.

    Parameters
    ----------
    beginnings : sequence of str
        The prompts.

    Returns
    -------
    list of int
        Indices.

    Examples
    --------
    >>> book = "In the beginning " * 9
    >>> order([book + "who?", "short", "much longer", book + "what?"])
    [3, 0, 2, 1]
    """
    n_all = len(commonprefix(list(beginnings)))
    groups: list[list[int]] = []
    before = ""
    for index in sorted(range(len(beginnings)), key=beginnings.__getitem__):
        text = beginnings[index]
        end = n_all + _ALIKE
        if not groups or len(text) < end or text[:end] != before[:end]:
            groups.append([])
        groups[-1].append(index)
        before = text
    groups.sort(key=lambda group: -max(len(beginnings[index]) for index in group))
    return [index for group in groups for index in group]
