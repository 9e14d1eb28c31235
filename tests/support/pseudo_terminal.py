"""Watching a program at a pseudo-terminal."""

from __future__ import annotations

import os
import select


class Seen:
    """Output of a program at its terminal.

    Parameters
    ----------
    terminal : int
        Descriptor of the terminal's other end.
    """

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._text = b""

    def wait_for(self, text: bytes | None) -> None:
        """Read up to `text`, or to the program's end."""
        while text is None or text not in self._text:
            is_there = select.select([self._terminal], [], [], 30)[0]
            assert is_there, f"waited for {text!r}, found {self._text!r}"
            try:
                data = os.read(self._terminal, 1 << 16)
            except OSError:  # Linux: the program has ended
                data = b""
            if not data:
                assert text is None, f"waited for {text!r}, found {self._text!r}"
                return
            self._text += data
        self._text = self._text.partition(text)[2]
