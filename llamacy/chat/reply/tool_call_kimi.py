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
from llamacy.chat.reply.parts import Call
from llamacy.chat.reply.tool_call_json import arguments_of, checked_name

BEGIN, END = "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"
_CALL_BEGIN, _SEPARATOR, _CALL_END = MARKS = (
    "<|tool_call_begin|>",
    "<|tool_call_argument_begin|>",
    "<|tool_call_end|>",
)
_ID: Final = re.compile(r"(?:functions\.)?+(.+?)(?::\d+)?")


def identified(text: str) -> list[Call]:
    """Parse consecutive calls.

    Raises
    ------
    ValueError
        There are no calls, or other text stands before or between them.
    """
    before, *calls = text.split(_CALL_BEGIN)
    if before.strip() or not calls:
        raise ValueError(f"wanted {_CALL_BEGIN}, found {short(text[:200])}")
    return [_call(call) for call in calls]


def _call(text: str) -> Call:
    body, _, after = text.partition(_CALL_END)
    call_id, separator, arguments = body.partition(_SEPARATOR)
    call_id = call_id.strip()
    name = _ID.fullmatch(call_id[:200])
    if not separator or name is None or after.strip():
        wanted = f"{_CALL_BEGIN} after a call" if after.strip() else _SEPARATOR
        raise ValueError(f"wanted {wanted}, found {short(text[:200])}")
    return Call(checked_name(name[1]), arguments_of(arguments), call_id)
