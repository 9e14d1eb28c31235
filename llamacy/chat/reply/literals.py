"""Reading values as Python writes them: `{'city': "Rome", 'when': None,}`.

JSON's constants are understood too: models mix the two. A parser of our own, because
Python's is not safe against hostile text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from llamacy.chat.reply.numbers import real, whole
from llamacy.chat.values import MAX_DEPTH

_SPACE: Final = re.compile(r"\s*+")
_NUMBER: Final = re.compile(r"[+-]?+(\d++(?:\.\d*+)?+|\.\d++)([eE][+-]?+\d++)?+")
_WORD: Final = re.compile(r"[^\W\d]\w*+")
_PLAIN: Final = {
    "'": re.compile(r"[^'\\]*+"),
    '"': re.compile(r'[^"\\]*+'),
}
_CONSTANTS: Final = {
    **{"True": True, "False": False, "None": None},
    **{"true": True, "false": False, "null": None},
}
_ESCAPES: Final = {
    **{"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0"},
    **{"'": "'", '"': '"', "\\": "\\", "\n": ""},
}
_HEX: Final = "[0-9a-fA-F]"
_CODE: Final = re.compile(
    rf"u([dD][89abAB]{_HEX}{{2}})\\u([dD][c-fC-F]{_HEX}{{2}})"  # a pair of surrogates
    rf"|x({_HEX}{{2}})|u({_HEX}{{4}})|U({_HEX}{{8}})"
)
_CLOSING: Final = {"[": "]", "(": ")", "{": "}"}


class LiteralReader:
    """Reads values one after the other.

    Parameters
    ----------
    text : str
        The text.
    at : int, default 0
        Where to begin.

    Attributes
    ----------
    at : int
        The place behind the last value read.
    """

    def __init__(self, text: str, at: int = 0) -> None:
        self._text = text
        self.at = at

    def value(self, depth: int = MAX_DEPTH) -> Any:
        """Read a value.

        Raises
        ------
        ValueError
            No value stands there, or it is nested too deeply.
        """
        if not depth:
            raise ValueError("it is nested too deeply")
        self.skip_space()
        first = self._text[self.at : self.at + 1]
        if first in ("'", '"'):
            return self._string()
        if first and first in "[(":
            return self._items(first, depth)
        if first == "{":
            return self._mapping(depth)
        if number := _NUMBER.match(self._text, self.at):
            self.at = number.end()
            is_whole = "." not in number[1] and number[2] is None
            return whole(number[0]) if is_whole else real(number[0])
        name = self.word()
        if name not in _CONSTANTS:
            raise ValueError(f"wanted a value, found {name[:40]!r}")
        return _CONSTANTS[name]

    def word(self) -> str:
        """Read a name, which may have dots; an empty string if there is none."""
        self.skip_space()
        start = self.at
        while found := _WORD.match(self._text, self.at):
            self.at = found.end()
            if not self._text.startswith(".", self.at):
                break
            self.at += 1
        return self._text[start : self.at]

    def takes(self, mark: str) -> bool:
        """Go behind `mark` if it comes next; say whether it does."""
        self.skip_space()
        is_next = self._text.startswith(mark, self.at)
        self.at += len(mark) if is_next else 0
        return is_next

    def wants(self, mark: str) -> None:
        """Go behind `mark`; raise ValueError if something else comes next."""
        if not self.takes(mark):
            found = self._text[self.at : self.at + 40]
            raise ValueError(f"wanted {mark}, found {found!r}")

    def each_up_to(self, closing: str) -> Iterator[None]:
        """Yield before each item of a list, for the caller to read; end behind it.

        Commas separate the items; one may follow the last.

        Raises
        ------
        ValueError
            Something else follows an item.
        """
        if self.takes(closing):
            return
        yield
        while not self.takes(closing):
            self.wants(",")
            if self.takes(closing):
                return
            yield

    def skip_space(self) -> None:
        """Go behind white space."""
        space = _SPACE.match(self._text, self.at)
        self.at = space.end() if space else self.at

    def _items(self, opening: str, depth: int) -> list[Any]:
        self.at += 1
        return [self.value(depth - 1) for _ in self.each_up_to(_CLOSING[opening])]

    def _mapping(self, depth: int) -> dict[str, Any]:
        self.at += 1
        found: dict[str, Any] = {}
        for _ in self.each_up_to("}"):
            key = self.value(depth - 1)
            if not isinstance(key, str):
                raise ValueError("wanted a key as text")
            self.wants(":")
            found[key] = self.value(depth - 1)
        return found

    def _string(self) -> str:
        quote = self._text[self.at]
        self.at += 1
        parts: list[str] = []
        while True:
            plain = _PLAIN[quote].match(self._text, self.at)
            assert plain is not None
            parts.append(plain[0])
            self.at = plain.end() + 1
            mark = self._text[plain.end() : self.at]
            if mark == quote:
                return "".join(parts)
            if not mark:
                raise ValueError(f"wanted {quote} at the end of a text")
            parts.append(self._escape())

    def _escape(self) -> str:
        """Read what follows a backslash."""
        if code := _CODE.match(self._text, self.at):
            self.at = code.end()
            units = [int(one, 16) for one in code.groups() if one]
            if len(units) == 2:
                return chr(0x10000 + ((units[0] & 0x3FF) << 10) + (units[1] & 0x3FF))
            if units[0] > 0x10FFFF:
                raise ValueError("it has a character beyond Unicode")
            return chr(units[0])
        letter = self._text[self.at : self.at + 1]
        if letter not in _ESCAPES:
            raise ValueError(f"wanted an escape, found \\{letter}")
        self.at += 1
        return _ESCAPES[letter]
