"""A table of results that pytest shows at the end of a run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

_ROWS = pytest.StashKey[list[tuple[str, ...]]]()


def add_row(config: pytest.Config, columns: tuple[str, ...], *cells: str) -> None:
    """Add a row to the table, whose columns have these names."""
    config.stash.setdefault(_ROWS, [columns]).append(cells)


def lines(config: pytest.Config) -> Iterator[str]:
    """Yield the table's lines; none if no row was added."""
    rows = config.stash.get(_ROWS, [])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(map(str.ljust, row, widths)).rstrip()
