"""From the bytes of tokens to text that may be shown."""

from __future__ import annotations

import codecs
from collections.abc import Iterable


class Text:
    """Bytes of tokens in, text that may be shown out.

    Holds back the bytes of an unfinished character and whatever may yet turn out
    to be the beginning of a stop string. Bytes that are not UTF-8 become U+FFFD.

    Parameters
    ----------
    stop : texts that end the generation.
    include_stop : show the one that ended it.
    """

    def __init__(self, stop: Iterable[str] = (), include_stop: bool = False) -> None:
        self.stopped = False
        self._stop = tuple(stop)
        self._include_stop = include_stop
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._tail = ""

    def push(self, data: bytes) -> str:
        """Add a token's bytes; return the text that has become sure."""
        if self.stopped:
            return ""
        self._tail += self._decoder.decode(data)
        return self._release()

    def flush(self) -> str:
        """Return what is still held, at the end of a text."""
        if self.stopped:
            return ""
        self._tail += self._decoder.decode(b"", final=True)
        sure = self._release()
        held, self._tail = self._tail, ""
        return sure + held

    def _release(self) -> str:
        """Split the tail into what may be shown, returned, and what is held."""
        found = [(self._tail.find(stop), stop) for stop in self._stop]
        # The stop string that ended first, as if the text had come in characters.
        ends = [(at + len(stop), at) for at, stop in found if at >= 0]
        if ends:
            self.stopped = True
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
