"""The command line as a process: its standard streams and its signals."""

from __future__ import annotations

import os
import signal
import sys
from io import TextIOWrapper
from types import FrameType


def prepare() -> None:
    """Set up standard streams and signal handlers, whatever the parent process left."""
    _fill_streams()
    if isinstance(sys.stdin, TextIOWrapper):
        # Bytes that are not UTF-8 are reported where the text is used.
        sys.stdin.reconfigure(errors="surrogateescape")
    for stream in (sys.stdout, sys.stderr):
        # Characters that the terminal cannot encode are printed as "?".
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has only the first
        # A signal that `nohup` made the process ignore stays ignored.
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _leave)


def _fill_streams() -> None:
    """Open the null device for each stream that the shell closed (`<&-`, `2>&-`).

    Python sets such a stream to None, and `print(file=None)` writes to standard output.
    """
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")


def _leave(number: int, frame: FrameType | None) -> None:
    """Exit with the signal's status; the exception cleans up unfinished files."""
    raise SystemExit(128 + number)
