"""Reasoning between marks, before an answer: `<think>so ...</think>It is ...`."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from typing import NamedTuple

from llamacy.chat.reply.parts import Part, Reasoning, Text, Trimmed, cut


class ThinkingMarks(NamedTuple):
    """The marks that begin and end reasoning."""

    open: str
    close: str


THINKING_MARKS = (
    ThinkingMarks("<think>", "</think>"),  # DeepSeek R1, Qwen 3, SmolLM 3
    ThinkingMarks("[THINK]", "[/THINK]"),  # Magistral
)


class _At(Enum):
    BEGINNING = auto()
    REASONING = auto()
    GAP = auto()  # between reasoning and answer
    ANSWER = auto()


class ThinkingSplitter:
    """Separates an answer from the reasoning before it.

    The opening mark counts only at the beginning, since an answer may mention it. A
    text that ends without the closing mark is reasoning throughout.

    Parameters
    ----------
    marks : ThinkingMarks
        The model's marks.
    is_open : bool
        Whether the prompt already ends with the opening mark.
    """

    def __init__(self, marks: ThinkingMarks, is_open: bool) -> None:
        self._marks = marks
        self._at = _At.REASONING if is_open else _At.BEGINNING
        self._held = ""
        self._reasoning = Trimmed()

    def push(self, text: str) -> Iterator[Part]:
        """Add text, and yield the parts that are certain."""
        self._held += text
        if self._at is _At.BEGINNING:
            self._begin()
        if self._at is _At.REASONING:
            yield from self._reason()
        if self._at is _At.GAP:
            self._held = self._held.lstrip()
            if self._held:
                self._at = _At.ANSWER
        if self._at is _At.ANSWER and self._held:
            yield Text(self._held)
            self._held = ""

    def end(self) -> Iterator[Part]:
        """End the text, and yield what was held back."""
        if not self._held or self._at is _At.GAP:
            return
        if self._at is _At.REASONING:  # held back as a possible closing mark
            if shown := self._reasoning.push(self._held):
                yield Reasoning(shown)
        else:
            yield Text(self._held)
        self._held = ""

    def _begin(self) -> None:
        """Decide whether the text begins with the opening mark."""
        start = self._held.lstrip()
        if start.startswith(self._marks.open):
            self._at = _At.REASONING
            self._held = start[len(self._marks.open) :]
        elif not self._marks.open.startswith(start):
            self._at = _At.ANSWER

    def _reason(self) -> Iterator[Part]:
        before, mark, self._held = cut(self._held, [self._marks.close])
        if shown := self._reasoning.push(before):
            yield Reasoning(shown)
        if mark:
            self._at = _At.GAP
