"""Ctrl-C at a chosen line."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

needs_safe_tracing = pytest.mark.skipif(
    sys.version_info < (3, 12),
    reason="CPython 3.11 may crash where a trace function raises",
)


class Interrupt:
    """Raises KeyboardInterrupt at one line of this thread, once, as Ctrl-C does.

    Not at the end of a `with` block, which Python does not interrupt before it has left
    the block, and not in `__del__`, whose errors it drops.

    Parameters
    ----------
    at : int
        The line, counted from 1, of those that run in `files`.
    files : tuple of str
        Ends of file names.
    """

    def __init__(self, at: int, files: tuple[str, ...]) -> None:
        self._at = at
        self._files = files
        self.n_lines = 0

    def __call__(self, frame: FrameType, event: str, _: Any) -> Any:
        code = frame.f_code
        if not code.co_filename.endswith(self._files) or code.co_name == "__del__":
            return None
        line = linecache.getline(code.co_filename, frame.f_lineno)
        if event == "line" and not line.lstrip().startswith("with "):
            self.n_lines += 1
            if self.n_lines == self._at:
                raise KeyboardInterrupt
        return self

    @contextmanager
    def raised(self) -> Iterator[None]:
        """Count the lines of a block, and raise at the one that was asked for."""
        before = sys.gettrace()
        sys.settrace(self)
        try:
            yield
        finally:
            sys.settrace(before)
