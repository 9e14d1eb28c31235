"""From the bytes of tokens to text that may be shown."""

from __future__ import annotations

import codecs
from collections.abc import Iterable


class TextBuffer:
    """Takes the bytes of tokens, and gives text that may be shown.

    It holds back the bytes of an unfinished character, and any text that may turn out
    to be the beginning of a stop string. Bytes that are not UTF-8 become U+FFFD.

    Parameters
    ----------
    stop : iterable of str
        Stop strings, each of which ends the text.
    include_stop : bool, default False
        Show the stop string that ended the text.

    Attributes
    ----------
    is_stopped : bool
        Whether a stop string was found.
    """

    def __init__(self, stop: Iterable[str] = (), include_stop: bool = False) -> None:
        self.is_stopped = False
        self._stop = tuple(stop)
        self._include_stop = include_stop
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._tail = ""

    def push(self, data: bytes) -> str:
        """Add a token's bytes; return the text that has become sure."""
        if self.is_stopped:
            return ""
        self._tail += self._decoder.decode(data)
        return self._release()

    def flush(self) -> str:
        """Return the text still held back, at the end."""
        if self.is_stopped:
            return ""
        self._tail += self._decoder.decode(b"", final=True)
        sure = self._release()
        held, self._tail = self._tail, ""
        return sure + held

    def _release(self) -> str:
        """Return the part of the tail that may be shown, and hold the rest."""
        found = [(self._tail.find(stop), stop) for stop in self._stop]
        # The stop string that ended first, as if the text had come in characters.
        ends = [(at + len(stop), at) for at, stop in found if at >= 0]
        if ends:
            self.is_stopped = True
            end, start = min(ends)
            sure, self._tail = self._tail[: end if self._include_stop else start], ""
            return sure
        longest = max(map(len, self._stop), default=1) - 1
        n_held = min(longest, len(self._tail))
        while n_held and not self._may_stop(self._tail[-n_held:]):
            n_held -= 1
        cut = len(self._tail) - n_held
        sure, self._tail = self._tail[:cut], self._tail[cut:]
        return sure

    def _may_stop(self, text: str) -> bool:
        return any(stop.startswith(text) for stop in self._stop)
