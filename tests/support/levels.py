"""The level for tests whose results must not depend on the company of a text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from llamacy import kernels


@contextmanager
def rows_alone() -> Iterator[None]:
    """Load models at a level at which no row depends on the others of its pass.

    It is the selected one, but for those with tiles, on which only passes of many rows
    are multiplied: the best one without stands in for them.
    """
    with pytest.MonkeyPatch.context() as patch:
        if kernels.selected().name.startswith("amx"):
            best = [
                level
                for level in kernels.available()
                if not level.name.startswith("amx")
            ][-1]
            patch.setattr(kernels, "selected", lambda: best)
        yield
