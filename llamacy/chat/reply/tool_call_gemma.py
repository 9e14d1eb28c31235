"""Parsing tool calls as Gemma 4 writes them: `call:weather{city:<|"|>Paris<|"|>}`.

Texts stand between marks, and keys are bare; all else is as in JSON.
"""

from __future__ import annotations

import re
from typing import Any, Final

from llamacy.arguments import short
from llamacy.chat.reply.parts import Call
from llamacy.chat.reply.tool_call_json import (
    checked_arguments,
    checked_name,
    json_value,
)
from llamacy.chat.values import MAX_DEPTH

QUOTE: Final = '<|"|>'
_CALL: Final = re.compile(r"\s*+call:\s*+([^\s{}]++)\s*+(?=\{)")
_KEY: Final = re.compile(r"\s*+([^\s:,{}\[\]<]++)\s*+:")
_PLAIN: Final = re.compile(r"\s*+([^\s,{}\[\]<][^,{}\[\]<]*+)")
_SPACE: Final = re.compile(r"\s*+")
_CLOSING: Final = {"{": "}", "[": "]"}


def quoted(text: str) -> list[Call]:
    """Parse consecutive calls.

    Raises
    ------
    ValueError
        There are no calls, or other text stands before, between or after them.
    """
    reader = _Reader(text)
    calls: list[Call] = []
    while not calls or reader.next():
        calls.append(reader.call())
    return calls


class _Reader:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def next(self) -> str:
        """Skip white space; return the next character, empty at the end."""
        space = _SPACE.match(self._text, self._at)
        self._at = space.end() if space else self._at
        return self._text[self._at : self._at + 1]

    def call(self) -> Call:
        name = self._match(_CALL, "call:name{")
        return Call(checked_name(name), checked_arguments(self._value(MAX_DEPTH)))

    def _value(self, depth: int) -> Any:
        if not depth:
            raise ValueError("its arguments are nested too deeply")
        first = self.next()
        if first in ("{", "["):
            return self._container(first, depth)
        if self._text.startswith(QUOTE, self._at):
            return self._quoted()
        plain = self._match(_PLAIN, "a value").strip()
        if plain in ("None", "True", "False"):
            plain = {"None": "null"}.get(plain, plain.lower())
        return json_value(plain)

    def _container(self, opening: str, depth: int) -> Any:
        self._at += 1
        items: list[Any] = []
        keys: list[str] = []
        while self.next() != _CLOSING[opening]:
            if items:
                self._match(re.compile(r"\s*+(,)"), ",")
                if self.next() == _CLOSING[opening]:
                    break
            if opening == "{":
                keys.append(self._key())
            items.append(self._value(depth - 1))
        self._at += 1
        return dict(zip(keys, items, strict=True)) if opening == "{" else items

    def _key(self) -> str:
        self.next()
        if not self._text.startswith(QUOTE, self._at):
            return self._match(_KEY, "a key")
        key = self._quoted()
        self._match(re.compile(r"\s*+(:)"), ":")
        return key

    def _quoted(self) -> str:
        start = self._at + len(QUOTE)
        end = self._text.find(QUOTE, start)
        if end < 0:
            raise ValueError(f"wanted {QUOTE} at the end of a text")
        self._at = end + len(QUOTE)
        return self._text[start:end]

    def _match(self, pattern: re.Pattern[str], wanted: str) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            left = short(self._text[self._at : self._at + 200])
            raise ValueError(f"wanted {wanted}, found {left}")
        self._at = found.end()
        return found[1]
