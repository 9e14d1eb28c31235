"""Counting work, where measured time would depend on the machine's load."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import llamacy

_PACKAGE = str(Path(llamacy.__file__).parent)


def lines_run(call: Callable[[], object]) -> int:
    """Count the lines of llamacy's Python code that `call` runs; C is not seen."""
    n_lines = 0

    def count(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal n_lines
        n_lines += event == "line"
        return count

    def enter(frame: FrameType, event: str, argument: Any) -> Any:
        return count if frame.f_code.co_filename.startswith(_PACKAGE) else None

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        call()
    finally:
        sys.settrace(before)
    return n_lines
