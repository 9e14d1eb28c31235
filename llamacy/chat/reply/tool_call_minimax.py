"""Parsing tool calls as MiniMax M3 writes them: tags, each behind a mark.

::

    ]<]minimax[>[<invoke name="weather">]<]minimax[>[<city>Paris]<]minimax[>[</city>
    ]<]minimax[>[</invoke>

Lists and objects are tags again, those of a list `<item>`; the tool's schema tells the
types of the values in them. The mark is a token of its own, so that no text of a value
can be taken for a tag. Source: the model's template.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

from llamacy.arguments import short
from llamacy.chat.reply.parts import Call
from llamacy.chat.reply.schema_types import UNKNOWN, Types, ValueTypes
from llamacy.chat.reply.tool_call_json import checked_arguments, checked_name
from llamacy.chat.reply.tool_call_tags import typed_value
from llamacy.chat.values import MAX_DEPTH

MARK: Final = "]<]minimax[>["
BEGIN, END = f"{MARK}<tool_call>", f"{MARK}</tool_call>"
_INVOKE: Final = re.compile(r'<invoke\s++name="([^">\n]++)"\s*+>')
_TAG: Final = re.compile(r"<(/?+)([^\s<>/\"'][^<>\n]*+)>")
_ITEM: Final = "item"
_ANY: Final = frozenset({"number", "integer", "boolean", "null", "string"})


def marked(text: str, types: Types) -> list[Call]:
    """Parse consecutive calls.

    Raises
    ------
    ValueError
        There are no calls, a tag is missing, or other text stands between them.
    """
    before, *pieces = text.split(MARK)
    if before.strip() or not pieces:
        raise ValueError(f"wanted {MARK}<invoke, found {short(text[:200])}")
    reader = _Reader(pieces)
    calls = []
    while not reader.is_at_end:
        calls.append(reader.call(types))
    return calls


class _Members(Protocol):
    """The types of the values within a tag."""

    def member(self, key: str, /) -> ValueTypes:
        """Return the types of the value in a tag of this name."""


class _Known(NamedTuple):
    """The parameters of a tool."""

    types: Mapping[str, ValueTypes]

    def member(self, key: str, /) -> ValueTypes:
        return self.types.get(key, UNKNOWN)


class _Items:
    """The items of a list, which are of the same types."""

    def __init__(self, types: ValueTypes) -> None:
        self._types = types.item()

    def member(self, _: str, /) -> ValueTypes:
        return self._types


class _Reader:
    """Reads calls, one after the other, from the pieces behind marks."""

    def __init__(self, pieces: list[str]) -> None:
        self._pieces, self._at = pieces, 0

    @property
    def is_at_end(self) -> bool:
        """Whether no piece is left."""
        return self._at == len(self._pieces)

    def call(self, types: Types) -> Call:
        """Read a call."""
        piece = self._next()
        opening = _INVOKE.match(piece)
        if opening is None or piece[opening.end() :].strip():
            raise ValueError(f"wanted <invoke name=...>, found {short(piece[:200])}")
        name = checked_name(opening[1])
        arguments = self._fields("invoke", _Known(types.get(name, {})), MAX_DEPTH)
        return Call(name, checked_arguments(dict(arguments)))

    def _fields(
        self, parent: str, known: _Members, depth: int
    ) -> list[tuple[str, Any]]:
        """Read values up to behind the closing tag of their parent."""
        if not depth:
            raise ValueError("its arguments are nested too deeply")
        fields: list[tuple[str, Any]] = []
        while True:
            is_closing, tag, text = self._tag()
            if is_closing:
                if tag != parent or text.strip():
                    raise ValueError(f"wanted </{parent}>, found {short(tag + text)}")
                return fields
            value = self._value(tag, text, known.member(tag), depth)
            if tag != _ITEM and any(tag == name for name, _ in fields):
                raise ValueError(f"wanted another parameter, found {short(tag)} again")
            fields.append((tag, value))

    def _value(self, tag: str, text: str, wanted: ValueTypes, depth: int) -> Any:
        """Read the value behind an opening tag, up to behind the closing one."""
        is_leaf = not self.is_at_end and self._pieces[self._at].startswith("</")
        if is_leaf:
            self._fields(tag, UNKNOWN, depth)
            if not text and wanted and "string" not in wanted:
                return [] if "array" in wanted else {} if "object" in wanted else text
            return typed_value(text, wanted or _ANY)
        if text.strip():
            raise ValueError(f"wanted </{tag}>, found {short(text)}")
        is_list = "array" in wanted and "object" not in wanted
        fields = self._fields(tag, _Items(wanted) if is_list else wanted, depth - 1)
        if all(name == _ITEM for name, _ in fields) and "object" not in wanted:
            return [value for _, value in fields]
        if len(fields) != len(dict(fields)):
            raise ValueError(f"wanted an object in {short(tag)}, found {_ITEM} twice")
        return dict(fields)

    def _tag(self) -> tuple[bool, str, str]:
        """Read a tag; return whether it closes, its name, and the text behind it."""
        piece = self._next()
        found = _TAG.match(piece)
        if found is None:
            raise ValueError(f"wanted a tag, found {short(piece[:200])}")
        return bool(found[1]), found[2], piece[found.end() :]

    def _next(self) -> str:
        if self.is_at_end:
            raise ValueError("wanted </invoke>, found the end")
        self._at += 1
        return self._pieces[self._at - 1]
