"""A user of the chat who types prescribed lines."""

from __future__ import annotations

from collections.abc import Callable


def typed(*lines: str) -> Callable[[str], str]:
    """Return a function that returns these lines one by one; ^C is Ctrl-C."""
    remaining = iter(lines)

    def read_line(prompt: str) -> str:
        line = next(remaining, None)
        if line is None:
            raise EOFError
        if line == "^C":
            raise KeyboardInterrupt
        return line

    return read_line
