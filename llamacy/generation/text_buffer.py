"""From the bytes of tokens to text that may be shown."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from typing import Protocol


class StopScope(Protocol):
    """Says which parts of a text stop strings may end.

    Attributes
    ----------
    always : tuple of str
        Stop strings that end every part.
    """

    always: tuple[str, ...]

    def push(self, text: str) -> Iterator[tuple[str, bool]]:
        """Add text; yield its parts that are certain, and whether all may end them."""

    def end(self) -> Iterator[tuple[str, bool]]:
        """End the text, and yield the parts that were held back."""


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
    scope : StopScope, optional
        The parts of the text in which to look for them; by default everywhere.

    Attributes
    ----------
    is_stopped : bool
        Whether a stop string was found.
    """

    def __init__(
        self,
        stop: Iterable[str] = (),
        include_stop: bool = False,
        scope: StopScope | None = None,
    ) -> None:
        self.is_stopped = False
        self._stop = tuple(stop)
        self._include_stop = include_stop
        self._scope = scope
        self._sought = self._stop if scope is None else scope.always
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._tail = ""
        self._hidden: list[tuple[int, int]] = []  # places in the tail

    def push(self, data: bytes) -> str:
        """Add a token's bytes; return the text that has become sure."""
        text = self._decoder.decode(data)
        if self._scope is None:
            return self._add(text)
        return self._add_parts(self._scope.push(text))

    def push_hidden(self, text: str) -> str:
        """Add a text that stop strings may contain, but that is not shown.

        Returns the text that has become sure.
        """
        start = len(self._tail)
        self._hidden.append((start, start + len(text)))
        return self._add(text)

    def flush(self) -> str:
        """Return the text still held back, at the end."""
        text = self._decoder.decode(b"", final=True)
        if self._scope is None:
            sure = self._add(text)
        else:
            sure = self._add_parts(self._scope.push(text))
            sure += self._add_parts(self._scope.end())
        return sure + self._shown(len(self._tail))

    def _add_parts(self, parts: Iterable[tuple[str, bool]]) -> str:
        """Add parts of a text; look for all stop strings only in those marked so."""
        assert self._scope is not None
        sure = ""
        for text, has_all in parts:
            sought = self._stop if has_all else self._scope.always
            if sought != self._sought and not self.is_stopped:
                sure += self._shown(len(self._tail))
                self._sought = sought
            sure += self._add(text)
        return sure

    def _add(self, text: str) -> str:
        if self.is_stopped:
            return ""
        self._tail += text
        return self._release()

    def _release(self) -> str:
        """Return the part of the tail that may be shown, and hold the rest."""
        if not self._sought:
            return self._shown(len(self._tail))
        found = [(self._tail.find(stop), stop) for stop in self._sought]
        # The stop string that ended first, as if the text had come in characters.
        ends = [(at + len(stop), at) for at, stop in found if at >= 0]
        if ends:
            self.is_stopped = True
            end, start = min(ends)
            stop = self._tail[start:end] if self._include_stop else ""
            sure = self._shown(start) + stop
            self._tail = ""
            return sure
        longest = max(map(len, self._sought)) - 1
        n_held = min(longest, len(self._tail))
        while n_held and not self._may_stop(self._tail[-n_held:]):
            n_held -= 1
        return self._shown(len(self._tail) - n_held)

    def _shown(self, end: int) -> str:
        """Take the tail up to `end`, without what is hidden."""
        text, self._tail = self._tail[:end], self._tail[end:]
        if not self._hidden:
            return text
        spans, self._hidden = self._hidden, []
        for start, stop in reversed(spans):
            if stop > end:
                self._hidden.insert(0, (max(start - end, 0), stop - end))
            text = text[:start] + text[min(stop, end) :] if start < end else text
        return text

    def _may_stop(self, text: str) -> bool:
        return any(stop.startswith(text) for stop in self._sought)
