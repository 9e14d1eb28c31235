"""Parsing tool calls as GLM 4.5, Hunyuan 3 and their kin write them.

::

    weather
    <arg_key>city</arg_key>
    <arg_value>Paris</arg_value>

Values are plain text, or JSON where the tool's schema says that they are not text.
Hunyuan's tags have a suffix, and its calls stand together between marks::

    <tool_call:opensource>weather<tool_sep:opensource>
    <arg_key:opensource>city</arg_key:opensource>
    <arg_value:opensource>Paris</arg_value:opensource>
    </tool_call:opensource>
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from llamacy.arguments import short
from llamacy.chat.reply.parts import Call, CallMarks
from llamacy.chat.reply.schema_types import Types, ValueTypes
from llamacy.chat.reply.tool_call_json import (
    checked_arguments,
    checked_name,
    json_calls,
)
from llamacy.chat.reply.tool_call_tags import typed_value

KEY: Final = "<arg_key>"
_NAME: Final = re.compile(r"\s*+([^\s<{]++)\s*+")
_SPACE_TO_END: Final = re.compile(r"\s*+\Z")

SUFFIX: Final = ":opensource"
HUNYUAN: Final = CallMarks(
    f"<tool_call{SUFFIX}>", f"<tool_sep{SUFFIX}>", f"</tool_call{SUFFIX}>"
)


class _Tags(NamedTuple):
    """The tags around keys and values.

    Attributes
    ----------
    key : re.Pattern
        A key in its tags, and the tag before its value.
    value_end : re.Pattern
        The end of a value, which may contain the tag: another key or nothing follows.
        Or the beginning of another key, where the value's tag is missing.
    suffix : str
        The end of each tag's name.
    """

    key: re.Pattern[str]
    value_end: re.Pattern[str]
    suffix: str

    @classmethod
    def of(cls, suffix: str) -> _Tags:
        """Return the tags whose names end with a suffix."""
        key, value = f"arg_key{suffix}", f"arg_value{suffix}"
        return cls(
            re.compile(rf"\s*+<{key}>([^<\n]*+)</{key}>\s*+<{value}>"),
            re.compile(rf"</{value}>\s*+(?=\Z|<{key}>)|<{key}>"),
            suffix,
        )

    def arguments(
        self, text: str, at: int, types: Mapping[str, ValueTypes]
    ) -> dict[str, Any]:
        """Parse the arguments from a place to the end of a text."""
        found: dict[str, Any] = {}
        while not _SPACE_TO_END.match(text, at):
            key = self.key.match(text, at)
            if key is None or key[1].strip() in found:
                wanted = f"<arg_key{self.suffix}>"
                raise ValueError(f"wanted {wanted}, found {short(text[at : at + 200])}")
            end = self.value_end.search(text, key.end())
            if end is None or not end[0].startswith("</"):
                left = end[0] if end else text[key.end() : key.end() + 200]
                wanted = f"</arg_value{self.suffix}>"
                raise ValueError(f"wanted {wanted}, found {short(left)}")
            allowed = types.get(key[1].strip(), frozenset[str]())
            value = text[key.end() : end.start()]
            found[key[1].strip()] = typed_value(value, allowed)
            at = end.end()
        return checked_arguments(found)


_GLM: Final = _Tags.of("")
_HUNYUAN: Final = _Tags.of(SUFFIX)


def keyed(text: str, types: Types) -> list[Call]:
    """Parse a call of GLM.

    Raises
    ------
    ValueError
        It is not a call in this form, or a closing tag is missing.
    """
    name = _NAME.match(text)
    if name is None:
        calls, left = json_calls(text)
        if left.strip():
            raise ValueError(f"wanted nothing after the call, found {short(left)}")
        return calls
    called = checked_name(name[1])
    return [Call(called, _GLM.arguments(text, name.end(), types.get(called, {})))]


def separated(text: str, types: Types) -> list[Call]:
    """Parse consecutive calls of Hunyuan.

    Raises
    ------
    ValueError
        There are no calls, one is malformed, or other text stands between them.
    """
    calls: list[Call] = []
    for before, given in HUNYUAN.split(text):
        name = checked_name(before.strip())
        calls.append(Call(name, _HUNYUAN.arguments(given, 0, types.get(name, {}))))
    return calls
