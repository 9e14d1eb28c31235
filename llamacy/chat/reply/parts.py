"""What answers are made of, and how they are cut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias


@dataclass(frozen=True, slots=True)
class Text:
    """Some of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """Some of what comes before the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool; its `id` is None if the model gave none."""

    name: str
    arguments: dict[str, Any]
    id: str | None = None


@dataclass(frozen=True, slots=True)
class BadCall:
    """Text that begins like a call, and why it is none."""

    text: str
    why: str


Part: TypeAlias = "Text | Reasoning | Call | BadCall"


class Splitter(Protocol):
    """Text in, parts out, as soon as it is sure what they are."""

    def push(self, text: str) -> Iterator[Part]:
        """Add text."""

    def end(self) -> Iterator[Part]:
        """Say that nothing follows."""


def cut(text: str, marks: Iterable[str]) -> tuple[str, str | None, str]:
    """Cut a text at the first of some marks.

    Returns
    -------
    What comes before it, the mark, and what follows. Without a mark: what cannot be
    part of one, None, and the end of the text, which may be the beginning of one.

    Examples
    --------
    >>> cut("so <b>it</b> is", ["<b>", "</b>"])
    ('so ', '<b>', 'it</b> is')
    >>> cut("so it <", ["<b>", "</b>"])
    ('so it ', None, '<')
    """
    marks = tuple(marks)
    found = [(at, mark) for mark in marks if (at := text.find(mark)) >= 0]
    if found:
        at, mark = min(found)
        return text[:at], mark, text[at + len(mark) :]
    longest = max(map(len, marks), default=1) - 1
    for start in range(max(len(text) - longest, 0), len(text)):
        if any(mark.startswith(text[start:]) for mark in marks):
            return text[:start], None, text[start:]
    return text, None, ""


class Trimmed:
    """Text in; out comes the same without white space at its ends.

    Parameters
    ----------
    at_start : whether to take it from the beginning too.
    """

    def __init__(self, at_start: bool = True) -> None:
        self._at_start = at_start
        self._space = ""

    def push(self, text: str) -> str:
        """Add text; return it but for white space that may turn out to be the end."""
        if self._at_start:
            text = text.lstrip()
            self._at_start = not text
        text = self._space + text
        shown = text.rstrip()
        self._space = text[len(shown) :]
        return shown

    def rest(self) -> str:
        """Return the white space held back, if it is wanted after all."""
        space, self._space = self._space, ""
        return space
