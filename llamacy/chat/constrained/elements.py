"""MiniMax M3's notation of arguments: elements, each tag behind a mark."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from llamacy.chat.constrained.lark import without
from llamacy.chat.constrained.notations import Notation
from llamacy.chat.reply import tool_call_minimax
from llamacy.chat.reply.schema_types import ValueTypes
from llamacy.structured.grammar import lark_text
from llamacy.structured.schema.places import Place

_TAG: Final = re.compile(r"[^\s<>/\"'\]][^<>\n]*")

READ_AS_OTHERS: Final = (
    r"[\s\x1c-\x1f]*[-+.0-9\[{(](.|\n)*",
    r"[\s\x1c-\x1f]*([tT][rR][uU][eE]|[fF][aA][lL][sS][eE]|[nN][uU][lL][lL]"
    r"|[nN][oO][nN][eE])[\s\x1c-\x1f]*",
)
"""Texts that are read as another type, if the schema allows that type as well."""


class Elements(Notation):
    """MiniMax M3's notation: tags, each behind a mark.

    All values end with the mark of the closing tag, which is written by the member or
    the item that they belong to.
    """

    mark = tool_call_minimax.MARK
    needs_types = True

    def content(self, node: Mapping[str, Any], at: Place, types: ValueTypes) -> str:
        """Return a text that is not read as a value of another type."""
        found = super().content(node, at, types)
        if types != frozenset(["string"]):
            found += "".join(f" & ~/{pattern}/" for pattern in READ_AS_OTHERS)
        return found

    def can_be_empty(self, kind: str, types: ValueTypes) -> bool:
        """Whether an empty tag is read as such a value."""
        first = "array" if "array" in types else "object"
        return "string" not in types and kind in types and kind == first

    def can_be(self, kind: str, types: ValueTypes) -> bool:
        """Whether tags in a tag are read as such a value."""
        return kind == "object" or "object" not in types

    def text(self, content: str) -> str:
        """Return a text and the mark behind it."""
        return f"{content} {self.marks(self.mark)}"

    def plain(self, terms: str) -> str:
        """Return a value and the mark behind it."""
        return f"{terms} {self.marks(self.mark)}"

    def constant(self, value: Any) -> str:
        """Return a constant and the mark behind it."""
        return f"{self._inner(value)}{self.mark}"

    def read(self, written: str, types: ValueTypes) -> Any:
        """Return what a call with this argument has."""
        text = f'{self.mark}<invoke name="f">{self.mark}<v>{written}</v>'
        text += f"{self.mark}</invoke>"
        (call,) = tool_call_minimax.marked(text, {"f": {"v": types}})
        return call.arguments["v"]

    def item(self, value: str) -> str:
        """Return an item in its tags."""
        return self.member("item", value)

    def listed(self, items: str) -> str:
        """Return items, and the mark behind them."""
        return f"{items} {self.marks(self.mark)}"

    def key_fits(self, key: str, types: ValueTypes) -> bool:
        """Whether a tag can have this name, and is then no item of a list."""
        is_tag = bool(_TAG.fullmatch(key)) and self.mark not in key
        return is_tag and (key != "item" or "object" in types)

    def member(self, key: str, value: str) -> str:
        """Return a value in its tags."""
        opening = self.written(f"{self.mark}<{key}>")
        return f"{opening} {value} {lark_text(f'</{key}>')}"

    def mapped(self, members: str) -> str:
        """Return members, and the mark behind them."""
        return f"{members} {self.marks(self.mark)}"

    def any_arguments(self, name: str) -> tuple[str, str]:
        """Return any tags but the one that ends the call."""
        rule = f"{name}: /(.|\\n)*/ & ~/<\\/invoke(.|\\n)*/ & {without(self.mark)}\n"
        return f"({self.marks(self.mark)} {name})*", rule

    def _inner(self, value: Any) -> str:
        if isinstance(value, str):
            return value
        pairs: list[tuple[str, Any]] = []
        if isinstance(value, list | tuple):
            pairs = [("item", item) for item in value]
        elif isinstance(value, dict):
            pairs = list(value.items())
        else:
            return json.dumps(value)
        return "".join(
            f"{self.mark}<{key}>{self._inner(inner)}{self.mark}</{key}>"
            for key, inner in pairs
        )
