"""Splitting a text into chunks of a number of tokens.

A chunk is counted as it will be tokenized, alone; so each chunk is tokenized twice:
with more text than it can hold, to see how far it may reach, and to check it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from llamacy.arguments import short
from llamacy.errors import ArgumentError

if TYPE_CHECKING:
    from llamacy.tokenizers.base import Tokenizer

_ENDS = (
    re.compile(r"\n\s*\n\s*"),  # of paragraphs
    re.compile(r"[.!?…][\"'”’»)\]]*\s+|[。！？]+[」』）]*\s*|\n\s*"),  # of sentences
    re.compile(r"\s+"),  # of words
)
"""Where a chunk should end, the best places first."""

_WORD_END = _ENDS[-1]

_CHARACTERS = 8  # of a token: more than most texts have


class Chunks:
    """The chunks of a text, one after another.

    Parameters
    ----------
    tokenizer : Tokenizer
        Counts the tokens.
    text : str
        The text.
    max_tokens : int
        Most tokens of a chunk, at least 1.
    overlap : int
        Most tokens that a chunk repeats of the one before, at most half of
        `max_tokens`.
    """

    def __init__(
        self, tokenizer: Tokenizer, text: str, max_tokens: int, overlap: int
    ) -> None:
        self._tokenizer = tokenizer
        self._text = text
        self._max_tokens = max_tokens
        self._overlap = overlap

    def __iter__(self) -> Iterator[str]:
        begin = end = 0
        while end < len(self._text):
            past = end
            end = self._end(begin, past)
            if end == past:  # the repeated part leaves no room
                begin, end = past, self._end(past, past)
            if end == past:
                raise self._too_few(begin)
            yield self._text[begin:end]
            begin = self._next_begin(begin, end)

    def _ids(self, begin: int, end: int) -> list[int]:
        return self._tokenizer.encode(self._text[begin:end], add_bos=False)

    def _count(self, begin: int, end: int) -> int:
        return len(self._ids(begin, end))

    def _end(self, begin: int, past: int) -> int:
        """Return where the chunk from `begin` ends; `past` if it cannot go beyond."""
        reach = self._reach(begin)
        if reach == len(self._text) and self._count(begin, reach) <= self._max_tokens:
            return reach
        for end in self._good_ends(max(past, (begin + reach) // 2), reach):
            if self._count(begin, end) <= self._max_tokens:
                return end
        end = reach
        while end > past and self._count(begin, end) > self._max_tokens:
            end -= max(1, (end - begin) // 16)
        if end <= past < reach and self._count(begin, past + 1) <= self._max_tokens:
            return past + 1
        return max(end, past)

    def _reach(self, begin: int) -> int:
        """Return about how far `max_tokens` tokens go from `begin`."""
        n = _CHARACTERS * self._max_tokens
        while True:
            window = self._text[begin : begin + n]
            ids = self._tokenizer.encode(window, add_bos=False)
            if len(ids) > self._max_tokens:
                break
            if begin + n >= len(self._text):
                return len(self._text)
            n *= 2
        known = self._tokenizer.decode(ids[: self._max_tokens]).rstrip("\ufffd")
        if not window.startswith(known):  # the vocabulary lacks some of its characters
            return begin + max(1, len(window) * self._max_tokens // len(ids))
        return begin + max(1, len(known))

    def _good_ends(self, low: int, high: int) -> Iterator[int]:
        """Yield the last ends of each kind after `low`, at most `high`."""
        for pattern in _ENDS:
            ends = [match.end() for match in pattern.finditer(self._text, low, high)]
            yield from reversed(ends[-3:])

    def _next_begin(self, begin: int, end: int) -> int:
        """Return where the chunk after the one from `begin` to `end` begins."""
        if not self._overlap:
            return end
        last = self._tokenizer.decode(self._ids(begin, end)[-self._overlap :])
        first = max(begin + 1, end - len(last))
        words = _WORD_END.finditer(self._text, first - 1, end)
        starts = [match.end() for match in words if match.end() >= first]
        for start in starts or range(first, end):
            if self._count(start, end) <= self._overlap:
                return start
        return end

    def _too_few(self, begin: int) -> ArgumentError:
        wanted = self._count(begin, begin + 1)
        return ArgumentError(
            f"max_tokens: wanted at least {wanted}, for {short(self._text[begin])}, "
            f"found {self._max_tokens}"
        )
