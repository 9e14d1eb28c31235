"""Telling whether a mark ends a call, or is a part of the call's arguments.

Models write files that mention `</tool_call>`; so the place decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Protocol, TypeAlias


class Inside(Protocol):
    """Follows the text of a call as it arrives."""

    def feed(self, text: str) -> None:
        """Add text."""

    @property
    def is_inside(self) -> bool:
        """Whether the text so far ends inside an argument."""


MakeInside: TypeAlias = Callable[[], Inside]


class InQuotes:
    """Follows JSON, or another text whose arguments stand in quotes.

    Parameters
    ----------
    quotes : str, default '"'
        The characters that quote.
    """

    def __init__(self, quotes: str = '"') -> None:
        self._any = re.compile(rf"[\\{quotes}]")
        self._ends = {quote: re.compile(rf"[\\{quote}]") for quote in quotes}
        self._quote = ""
        self._is_escaped = False

    @property
    def is_inside(self) -> bool:
        """Whether a quoted text is open."""
        return bool(self._quote)

    def feed(self, text: str) -> None:
        """Add text."""
        at = 0
        if text and self._is_escaped:
            self._is_escaped, at = False, 1
        while found := self._ends.get(self._quote, self._any).search(text, at):
            at = found.end()
            if not self._quote:
                self._quote = found[0].removeprefix("\\")
            elif found[0] == self._quote:
                self._quote = ""
            else:
                self._is_escaped = at == len(text)
                at += 1


class Outside:
    """Follows a text whose arguments cannot contain a mark, as each is a token."""

    is_inside = False

    def feed(self, text: str) -> None:
        """Add text."""


class InMarks:
    """Follows a text whose arguments stand between two marks that are alike.

    Parameters
    ----------
    mark : str
        The mark before and after an argument.
    """

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._tail = ""
        self.is_inside = False

    def feed(self, text: str) -> None:
        """Add text."""
        *before, last = (self._tail + text).split(self._mark)
        self.is_inside ^= len(before) % 2 == 1
        self._tail = last[-len(self._mark) + 1 :]


class AfterTag:
    """Follows a text in tags: it ends behind one of its closing tags.

    Parameters
    ----------
    closing : iterable of str
        The closing tags.
    opening : str
        The tag of which a call without it has no arguments.
    """

    def __init__(self, closing: Iterable[str], opening: str) -> None:
        self._closing = tuple(closing)
        self._opening = opening
        self._n_kept = max(map(len, (*self._closing, opening)))
        self._tail = ""  # the end of the text, without white space behind it
        self._space = ""
        self._has_opening = False
        self._json: InQuotes | None = None

    @property
    def is_inside(self) -> bool:
        """Whether no closing tag ends the text."""
        if self._json is not None:
            return self._json.is_inside
        return self._has_opening and not self._tail.endswith(self._closing)

    def feed(self, text: str) -> None:
        """Add text."""
        if not self._tail and text.lstrip()[:1] in ("{", "["):
            self._json = InQuotes()
        if self._json is not None:
            self._json.feed(text)
        text = self._tail + self._space + text
        self._has_opening = self._has_opening or self._opening in text
        shown = text.rstrip()
        self._space = text[len(shown) :][-self._n_kept :]
        self._tail = shown[-self._n_kept :]
