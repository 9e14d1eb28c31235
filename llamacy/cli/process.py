"""The command line as a process: the streams it was given, and how it is ended."""

from __future__ import annotations

import os
import signal
import sys
from io import TextIOWrapper
from types import FrameType


def prepare() -> None:
    """Make the process fit for work, whatever it was started with."""
    _fill_streams()
    if isinstance(sys.stdin, TextIOWrapper):
        # What is not UTF-8 is found, and told, where the text is used.
        sys.stdin.reconfigure(errors="surrogateescape")
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character shows another in its place.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has only the first
        # What `nohup` has the process ignore stays ignored.
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _leave)


def _fill_streams() -> None:
    """Open the null device for each stream that was closed (``<&-``, ``2>&-``).

    Python has None there, which `print` takes for standard output.
    """
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")


def _leave(number: int, frame: FrameType | None) -> None:
    """End as the signal wants it, but take what is half done away first."""
    raise SystemExit(128 + number)
