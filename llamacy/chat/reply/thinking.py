"""Reasoning between marks, before an answer: `<think>so ...</think>It is ...`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from llamacy.chat.reply.parts import Part, Place, Reasoning, Text, Trimmed, cut


class ThinkingMarks(NamedTuple):
    """The marks that begin and end reasoning."""

    open: str
    close: str


THINKING_MARKS = (
    ThinkingMarks("<think>", "</think>"),  # DeepSeek R1, Qwen 3, SmolLM 3
    ThinkingMarks("[THINK]", "[/THINK]"),  # Magistral
    ThinkingMarks("<mm:think>", "</mm:think>"),  # MiniMax M3
    ThinkingMarks("<seed:think>", "</seed:think>"),  # Seed-OSS
    ThinkingMarks("<think:opensource>", "</think:opensource>"),  # Hunyuan 3
    ThinkingMarks("<|START_THINKING|>", "<|END_THINKING|>"),  # Command R7B and A
    ThinkingMarks("<|channel>thought", "<channel|>"),  # Gemma 4: a token and a word
)

_SHOWN = re.compile(r"\S")
_QUOTES = {"`": "`", "'": "'", '"': '"', "\u201c": "\u201d", "\u2018": "\u2019"}


class ThinkingPlaces:
    """Tells reasoning from answer, in text that arrives in pieces.

    The opening mark counts only at the beginning, since an answer may mention it, and
    so does a closing mark without it: the model has chosen not to reason. A text that
    ends without the closing mark is reasoning throughout. A closing mark in
    quotes is a part of the reasoning.

    Parameters
    ----------
    marks : ThinkingMarks
        The model's marks.
    is_open : bool
        Whether the prompt already ends with the opening mark.
    is_certain : bool, default False
        Whether the model always reasons, and a text without the opening mark must be
        searched for the closing one.
    """

    def __init__(
        self, marks: ThinkingMarks, is_open: bool, is_certain: bool = False
    ) -> None:
        self._marks = marks
        self._at = Place.BEGINNING
        self._is_open = is_open
        self._is_certain = is_certain
        self._held = ""
        self._last = ""  # the character before what is held
        self._n_space = 0  # white space that the text begins with
        self._searched = 0  # characters of a beginning without the closing mark

    def push(self, text: str) -> Iterator[tuple[str, Place]]:
        """Add text; yield the pieces that are certain, with their places.

        The pieces together are the text.
        """
        self._held += text
        if self._at is Place.BEGINNING:
            yield from self._begin()
        if self._at is Place.REASONING:
            yield from self._reason(is_final=False)
        yield from self._cross()
        if self._at is Place.ANSWER and self._held:
            yield self._take(len(self._held)), self._at

    def end(self) -> Iterator[tuple[str, Place]]:
        """End the text, and yield what was held back."""
        if self._at is Place.BEGINNING and (
            self._is_open or (self._is_certain and self._has_closing(0, is_final=True))
        ):
            self._at = Place.REASONING
        if self._at is Place.REASONING:
            yield from self._reason(is_final=True)
            yield from self._cross()
        if self._held:
            place = Place.ANSWER if self._at is Place.BEGINNING else self._at
            yield self._take(len(self._held)), place

    def _take(self, n: int) -> str:
        text, self._held = self._held[:n], self._held[n:]
        self._last = text[-1:] or self._last
        return text

    def _begin(self) -> Iterator[tuple[str, Place]]:
        """Decide whether the text begins with the opening mark."""
        opening = self._marks.open
        shown = _SHOWN.search(self._held, self._n_space)
        self._n_space = shown.start() if shown else len(self._held)
        begun = self._held[self._n_space :]
        if begun.startswith(opening):
            self._at = Place.REASONING
            yield self._take(self._n_space + len(opening)), Place.GAP
        elif begun.startswith(self._marks.close):
            self._at = Place.GAP
            yield self._take(self._n_space + len(self._marks.close)), Place.GAP
        elif any(mark.startswith(begun) for mark in self._marks):
            return
        elif self._is_open:
            self._at = Place.REASONING
        elif not self._is_certain:
            self._at = Place.ANSWER
        else:
            first = max(self._searched - len(self._marks.close) - 1, 0)
            self._searched = len(self._held)
            if self._has_closing(first, is_final=False):
                self._at = Place.REASONING

    def _has_closing(self, first: int, *, is_final: bool) -> bool:
        close = self._marks.close
        return _closing(self._held, close, "", first, is_final=is_final)[1]

    def _reason(self, *, is_final: bool) -> Iterator[tuple[str, Place]]:
        close = self._marks.close
        n, is_closed = _closing(self._held, close, self._last, 0, is_final=is_final)
        if before := self._take(n):
            yield before, Place.REASONING
        if is_closed:
            self._at = Place.GAP
            yield self._take(len(close)), Place.GAP

    def _cross(self) -> Iterator[tuple[str, Place]]:
        """Go behind the white space before the answer."""
        if self._at is not Place.GAP:
            return
        n = len(self._held) - len(self._held.lstrip())
        if n:
            yield self._take(n), Place.GAP
        if self._held:
            self._at = Place.ANSWER


def _closing(
    text: str, mark: str, last: str, first: int, *, is_final: bool
) -> tuple[int, bool]:
    """Find a closing mark that is not in quotes.

    Parameters
    ----------
    text, mark : str
        The text and the mark.
    last : str
        The character before the text.
    first : int
        Where to begin.
    is_final : bool
        Whether nothing follows the text.

    Returns
    -------
    n : int
        Characters before it; without one, those before where one may begin.
    is_found : bool
        Whether there is one.
    """
    at = text.find(mark, first)
    behind = first  # the marks in quotes
    while at >= 0:
        quote = _QUOTES.get(text[at - 1] if at else last)
        following = text[at + len(mark) :][:1]
        if quote is None or (following and following != quote):
            return at, True
        if not following:
            return at, is_final
        behind = at + len(mark)
        at = text.find(mark, behind)
    if is_final:
        return len(text), False
    return behind + len(cut(text[behind:], [mark])[0]), False


class ThinkingSplitter:
    """Separates an answer from the reasoning before it.

    Parameters
    ----------
    marks : ThinkingMarks
        The model's marks.
    is_open, is_certain : bool
        See `ThinkingPlaces`.
    """

    def __init__(
        self, marks: ThinkingMarks, is_open: bool, is_certain: bool = False
    ) -> None:
        self._places = ThinkingPlaces(marks, is_open, is_certain)
        self._reasoning = Trimmed()

    def push(self, text: str) -> Iterator[Part]:
        """Add text, and yield the parts that are certain."""
        return self._parts(self._places.push(text))

    def end(self) -> Iterator[Part]:
        """End the text, and yield what was held back."""
        return self._parts(self._places.end())

    def _parts(self, pieces: Iterator[tuple[str, Place]]) -> Iterator[Part]:
        for text, place in pieces:
            if place is Place.ANSWER:
                yield Text(text)
            elif place is Place.REASONING and (shown := self._reasoning.push(text)):
                yield Reasoning(shown)
