"""Ctrl-C near a chosen line."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

needs_timers = pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="this system has no timers with signals"
)

_SOON = 2e-5  # seconds: longer than a timer takes to be set, or it would ring at once


class Interrupt:
    """Raises KeyboardInterrupt in the main thread, once, soon after a line has begun.

    A timer's signal stands for Ctrl-C, so that Python raises where it looks for
    signals, and nowhere else. Raised in a trace function, it would also come where
    Python never raises it, as before a lock is released at the end of a `with` block;
    and CPython 3.11 has crashed of that.

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

    @property
    def is_after_end(self) -> bool:
        """Whether the code ended before that line."""
        return self.n_lines < self._at

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.endswith(self._files):
            return None
        if event == "line":
            self.n_lines += 1
            if self.n_lines == self._at:
                signal.setitimer(signal.ITIMER_REAL, _SOON)
        return self._trace

    def _handle(self, _: int, frame: FrameType | None) -> None:
        while frame is not None:
            code = frame.f_code
            # the trace function is no part of the call, and Python drops errors here
            if code is Interrupt._trace.__code__ or code.co_name == "__del__":
                signal.setitimer(signal.ITIMER_REAL, _SOON)
                return
            frame = frame.f_back
        raise KeyboardInterrupt

    @contextmanager
    def raised(self) -> Iterator[None]:
        """Count the lines of a block, and interrupt it at the one asked for."""
        before = sys.gettrace()
        handler = signal.signal(signal.SIGALRM, self._handle)
        sys.settrace(self._trace)
        try:
            yield
        finally:
            sys.settrace(before)
            try:
                signal.setitimer(signal.ITIMER_REAL, 0)
            finally:
                signal.signal(signal.SIGALRM, handler)
