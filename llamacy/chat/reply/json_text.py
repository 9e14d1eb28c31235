"""A JSON object that is written anew while it arrives.

The text written so far is always the beginning of the text that `json.dumps` makes of
the whole object, so that the rest can be added once the object has been parsed. Text
that is not JSON is held back: it may be Python, which can be read at its end alone.
"""

from __future__ import annotations

import json
import re
from typing import Final

from llamacy.chat.reply.numbers import real

_SPACE: Final = " \t\n\r"
_KEY: Final = re.compile(r'"(?:[^"\\]|\\.)*+"', re.S)
_PLAIN: Final = re.compile(r'[^"\\\x00-\x1f]++')
_ESCAPE: Final = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_SCALAR: Final = re.compile(r"[-+.\w]++")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d*+)(?:\.\d++)?(?:[eE][-+]?\d++)?", re.A)
_MOST: Final = 1000
"""Most characters of a key or a number; longer ones are not written early."""


class ObjectWriter:
    r"""Writes a JSON object anew, all but its last brace.

    Attributes
    ----------
    is_over : bool
        Whether the object has ended.
    is_broken : bool
        Whether the text is not JSON; nothing more is written then.

    Examples
    --------
    >>> writer = ObjectWriter()
    >>> writer.push('{"a":[1,2'), writer.push('], "b": "x\u00fc'), writer.push('"}')
    ('{"a": [1', ', 2], "b": "xü', '"')
    """

    def __init__(self) -> None:
        self.is_over = False
        self.is_broken = False
        self._held = ""
        self._open: list[set[str] | None] = []  # keys of each object, None for a list
        self._wants = "value"
        self._gap = ""  # written before the next value or key

    def push(self, text: str) -> str:
        """Add text; return what is certain of the object."""
        self._held += text
        written: list[str] = []
        while not self.is_over and not self.is_broken:
            if (step := self._step()) is None:
                break
            written.append(step)
        return "".join(written)

    @property
    def left(self) -> str:
        """The text behind the object."""
        return self._held

    def _step(self) -> str | None:
        """Read on by one word; return its text, None if it is not complete."""
        if self._wants == "text":
            return self._text()
        self._held = self._held.lstrip(_SPACE)
        if not self._held:
            return None
        char = self._held[0]
        if char in "}]" and self._wants in ("end", "first"):
            return self._close(char)
        match self._wants:
            case "end":
                return self._comma(char)
            case "colon":
                return self._colon(char)
        return (
            self._key()
            if self._open
            and self._open[-1] is not None
            and (self._wants in ("first", "key"))
            else self._value(char)
        )

    def _close(self, char: str) -> str:
        is_object = self._open.pop() is not None
        if is_object != (char == "}"):
            return self._break()
        self._take(1, "end")
        self.is_over = not self._open
        self._gap = ""
        return "" if self.is_over else char

    def _comma(self, char: str) -> str:
        if char != ",":
            return self._break()
        self._gap = ", "
        return self._take(1, "key" if self._open[-1] is not None else "value", "")

    def _colon(self, char: str) -> str:
        return self._take(1, "value", ": ") if char == ":" else self._break()

    def _key(self) -> str | None:
        found = _KEY.match(self._held)
        if found is None:
            is_cut = self._held[0] == '"' and len(self._held) < _MOST
            return None if is_cut else self._break()
        keys = self._open[-1]
        try:
            key = json.loads(found[0], strict=False)
            key.encode()
        except ValueError:  # half a surrogate pair, too
            return self._break()
        if keys is None or key in keys:  # the second would take the place of the first
            return self._break()
        keys.add(key)
        return self._take(found.end(), "colon", _dumped(key))

    def _value(self, char: str) -> str | None:
        match char:
            case '"':
                return self._take(1, "text", char)
            case "{":
                self._open.append(set())
                return self._take(1, "first", char)
            case "[":
                self._open.append(None)
                return self._take(1, "first", char)
        return self._scalar()

    def _scalar(self) -> str | None:
        """Read a number or a literal, which ends where another character follows."""
        found = _SCALAR.match(self._held)
        if found is None or found.end() > _MOST:
            return self._break()
        if found.end() == len(self._held):
            return None
        text = found[0]
        if text not in ("true", "false", "null"):
            if _NUMBER.fullmatch(text) is None:
                return self._break()
            try:
                text = _dumped(json.loads(text, parse_float=real))
            except ValueError:  # of too many digits
                return self._break()
        return self._take(found.end(), "end", text)

    def _text(self) -> str | None:
        """Read on in a string."""
        held = self._held
        if not held:
            return None
        if plain := _PLAIN.match(held):
            return self._take(plain.end(), "text", plain[0])
        if held[0] == '"':
            return self._take(1, "end", '"')
        if held[0] != "\\":  # models write line breaks as they are
            return self._take(1, "text", _dumped(held[0])[1:-1])
        if (escape := _ESCAPE.match(held)) is None:
            is_cut = len(held) < 2 or (held[1] == "u" and len(held) < 6)
            return None if is_cut else self._break()
        end = escape.end()
        if re.match(r"\\u[dD][89abAB]", held):  # the first half of a pair
            if len(held) < 12:
                return None
            end = 12
        try:
            text = json.loads(f'"{held[:end]}"')
            text.encode()
        except ValueError:
            return self._break()
        return self._take(end, "text", _dumped(text)[1:-1])

    def _take(self, n: int, wants: str, text: str = "") -> str:
        self._held = self._held[n:]
        self._wants = wants
        if text:
            text, self._gap = self._gap + text, ""
        return text

    def _break(self) -> str:
        self.is_broken = True
        return ""


def _dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
