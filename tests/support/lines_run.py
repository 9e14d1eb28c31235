"""Work counted where time would depend on what else the machine does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import llamacy

_PACKAGE = str(Path(llamacy.__file__).parent)


def lines_run(call: Callable[[], object]) -> int:
    """Lines of llamacy's Python that `call` runs; what they call in C is not seen."""
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
