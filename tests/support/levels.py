"""The levels to test at, and the one where results do not depend on other texts."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from llamacy import kernels
from llamacy.kernels.cpu import MACHINE
from llamacy.kernels.levels import Level, levels_of


def required_levels() -> list[str]:
    """Return the levels that `LLAMACY_REQUIRE_LEVELS` names."""
    return re.findall(r"[^\s,]+", os.environ.get("LLAMACY_REQUIRE_LEVELS", ""))


def tested_levels() -> tuple[Level, ...]:
    """Return this machine's levels, but no emulation of one that it can run.

    An emulation differs from that level in verbs alone, and `test_verbs.py` tests those
    of all levels. `LLAMACY_REQUIRE_LEVELS` brings an emulation back.
    """
    usable = {level.name for level in kernels.available()}
    return tuple(
        level
        for level in levels_of(MACHINE)
        if not level.emulated
        or level.name.removesuffix("_emulated") not in usable
        or level.name in required_levels()
    )


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
