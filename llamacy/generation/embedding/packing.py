"""Which texts share a pass."""

from __future__ import annotations

from collections.abc import Sequence


def packed(lengths: Sequence[int], n_rows: int) -> list[list[int]]:
    """Put texts into passes, longest first.

    The last passes, of short texts, can be filled best.

    Parameters
    ----------
    lengths : sequence of int
        Tokens of each text.
    n_rows : int
        Rows that a pass has at most, unless one text alone has more.

    Returns
    -------
    list of list of int
        Indices of the texts of each pass.
    """
    passes: list[list[int]] = []
    n_free = 0
    for index in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        if not passes or lengths[index] > n_free:
            passes.append([])
            n_free = n_rows
        passes[-1].append(index)
        n_free -= lengths[index]
    return passes
