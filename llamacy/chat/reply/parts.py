"""The parts of an answer, and tools for splitting text at marks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, NamedTuple, Protocol, TypeAlias

from llamacy.arguments import short


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A piece of the reasoning before the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call; `id` is None if the model did not write one."""

    name: str
    arguments: dict[str, Any]
    id: str | None = None


@dataclass(frozen=True, slots=True)
class CallBegun:
    """The beginning of a tool call, whose `Call` or `BadCall` follows at its end."""

    name: str
    id: str | None = None


@dataclass(frozen=True, slots=True)
class ArgumentText:
    """More of the JSON of the arguments of the call that has begun last."""

    text: str


@dataclass(frozen=True, slots=True)
class CallsEnd:
    """The end of a text of calls: those that have begun there will not go on."""


@dataclass(frozen=True, slots=True)
class BadCall:
    """A tool call that could not be parsed: its text, and the reason."""

    text: str
    why: str


def check_declared(calls: Iterable[Call], names: Collection[str]) -> None:
    """Check that calls name tools that there are.

    Raises
    ------
    ValueError
        One does not.
    """
    for call in calls:
        if call.name not in names:
            raise ValueError(
                f"wanted one of the tools that were given, found {short(call.name)}"
            )


Early: TypeAlias = "CallBegun | ArgumentText | CallsEnd"
"""Parts that only tell of calls before they are complete."""

Part: TypeAlias = "Text | Reasoning | Early | Call | BadCall"


class Splitter(Protocol):
    """Text in, parts out; holds text back until it is certain what it belongs to."""

    def push(self, text: str) -> Iterator[Part]:
        """Add text, and yield the parts that are certain."""

    def end(self) -> Iterator[Part]:
        """End the text, and yield what was held back."""


class Place(Enum):
    """The part of an answer that a piece of it belongs to."""

    BEGINNING = auto()  # not decided
    REASONING = auto()
    GAP = auto()  # between reasoning and answer; marks and headers too
    ANSWER = auto()


class Places(Protocol):
    """Text in, the same text out in pieces, each with its place."""

    def push(self, text: str) -> Iterator[tuple[str, Place]]:
        """Add text, and yield the pieces that are certain."""

    def end(self) -> Iterator[tuple[str, Place]]:
        """End the text, and yield what was held back."""


def cut(text: str, marks: Iterable[str]) -> tuple[str, str | None, str]:
    """Cut a text at the first of several marks.

    Returns
    -------
    before : str
        The text before the mark. If there is no mark, the text up to where one may be
        beginning.
    mark : str or None
        The mark found.
    after : str
        The text after the mark. If there is no mark, the end of the text that may be
        the beginning of one.

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


class CallMarks(NamedTuple):
    """The marks of a family whose every call has marks of its own.

    Attributes
    ----------
    begin, end : str
        The marks around a call.
    separator : str
        The mark before its arguments.
    """

    begin: str
    separator: str
    end: str

    def split(self, text: str) -> list[tuple[str, str]]:
        """Split consecutive calls into the texts before and behind their separators.

        Raises
        ------
        ValueError
            There are no calls, one has no separator, or other text stands before,
            between or after them.
        """
        before, *calls = text.split(self.begin)
        if before.strip() or not calls:
            raise ValueError(f"wanted {self.begin}, found {short(text[:200])}")
        return [self._halves(call) for call in calls]

    def _halves(self, call: str) -> tuple[str, str]:
        body, _, after = call.partition(self.end)
        first, separator, second = body.partition(self.separator)
        if not separator:
            raise ValueError(f"wanted {self.separator}, found {short(body[:200])}")
        if after.strip():
            found = short(after[:200])
            raise ValueError(f"wanted {self.begin} after a call, found {found}")
        return first, second


class Trimmed:
    """Strips white space from the ends of a text that arrives in pieces.

    Parameters
    ----------
    at_start : bool
        Whether to strip the beginning too.
    """

    def __init__(self, at_start: bool = True) -> None:
        self._at_start = at_start
        self._space = ""

    def push(self, text: str) -> str:
        """Add text; return it without trailing white space, which may be the end."""
        if self._at_start:
            text = text.lstrip()
            self._at_start = not text
        text = self._space + text
        shown = text.rstrip()
        self._space = text[len(shown) :]
        return shown

    def rest(self) -> str:
        """Return the white space held back, for callers that want it after all."""
        space, self._space = self._space, ""
        return space
