"""Parsing tool calls as GLM 4.5 and its kin write them.

::

    weather
    <arg_key>city</arg_key>
    <arg_value>Paris</arg_value>

Values are plain text, or JSON where the tool's schema says that they are not text.
"""

from __future__ import annotations

import re
from typing import Any, Final

from llamacy.arguments import short
from llamacy.chat.reply.parts import Call
from llamacy.chat.reply.schema_types import Types
from llamacy.chat.reply.tool_call_json import (
    checked_arguments,
    checked_name,
    json_calls,
)
from llamacy.chat.reply.tool_call_tags import typed_value

KEY, VALUE = "<arg_key>", "<arg_value>"
_NAME: Final = re.compile(r"\s*+([^\s<{]++)\s*+")
_KEY: Final = re.compile(r"\s*+<arg_key>([^<\n]*+)</arg_key>\s*+<arg_value>")
# a value may contain the tag: it ends where another key or nothing follows
_VALUE_END: Final = re.compile(r"</arg_value>\s*+(?=\Z|<arg_key>)|<arg_key>")


def keyed(text: str, types: Types) -> list[Call]:
    """Parse a call.

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
    called, at = checked_name(name[1]), name.end()
    arguments: dict[str, Any] = {}
    while at < len(text):
        key = _KEY.match(text, at)
        if key is None or key[1].strip() in arguments:
            raise ValueError(f"wanted {KEY}, found {short(text[at : at + 200])}")
        end = _VALUE_END.search(text, key.end())
        if end is None or end[0] == KEY:
            found = short(end[0] if end else text[key.end() : key.end() + 200])
            raise ValueError(f"wanted </arg_value>, found {found}")
        wanted = types.get(called, {}).get(key[1].strip(), frozenset[str]())
        value = text[key.end() : end.start()]
        arguments[key[1].strip()] = typed_value(value, wanted)
        at = end.end()
    return [Call(called, checked_arguments(arguments))]
