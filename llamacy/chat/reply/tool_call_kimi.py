"""Parsing tool calls as Kimi K2 writes them, each between marks of its own.

::

    <|tool_call_begin|>functions.weather:0<|tool_call_argument_begin|>{"city": "Paris"}
    <|tool_call_end|>

The text before the arguments is the call's id, which has its name in it.
"""

from __future__ import annotations

import re
from typing import Final

from llamacy.arguments import short
from llamacy.chat.reply.parts import Call, CallMarks
from llamacy.chat.reply.tool_call_json import arguments_of, checked_name

BEGIN, END = "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"
MARKS: Final = CallMarks(
    "<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>"
)
_ID: Final = re.compile(r"(?:functions\.)?+(.+?)(?::\d+)?")


def identified(text: str) -> list[Call]:
    """Parse consecutive calls.

    Raises
    ------
    ValueError
        There are no calls, one is malformed, or other text stands before, between or
        after them.
    """
    return [_call(call_id.strip(), given) for call_id, given in MARKS.split(text)]


def _call(call_id: str, arguments: str) -> Call:
    name = _ID.fullmatch(call_id[:200])
    if name is None:
        raise ValueError(f"wanted the id of a call, found {short(call_id[:200])}")
    return Call(checked_name(name[1]), arguments_of(arguments), call_id)
