"""The level for tests whose results must not depend on the company of a text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from llamacy import kernels
from llamacy.kernels.levels import Level


def level_of_rows_alone() -> Level:
    """Return a level at which no row depends on the others of its pass.

    It is the selected one, but for those with tiles, on which only passes of many rows
    are multiplied: the best one without stands in for them.
    """
    if not _has_tiles(kernels.selected()):
        return kernels.selected()
    return [level for level in kernels.available() if not _has_tiles(level)][-1]


@contextmanager
def rows_alone() -> Iterator[None]:
    """Load models at that level."""
    level = level_of_rows_alone()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "selected", lambda: level)
        yield


def _has_tiles(level: Level) -> bool:
    return level.name.startswith("amx")
