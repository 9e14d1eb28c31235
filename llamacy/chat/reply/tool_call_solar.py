"""Parsing tool calls as Solar Open writes them, each between marks of its own.

::

    <|tool_call:begin|>a1b2c3d4e5<|tool_call:name|>weather<|tool_call:args|>
    {"city": "Paris"}<|tool_call:end|>
"""

from __future__ import annotations

from typing import Final

from llamacy.arguments import short
from llamacy.chat.reply.parts import Call, CallMarks
from llamacy.chat.reply.tool_call_json import arguments_of, checked_name

BEGIN: Final = "<|tool_calls|>"
NAME: Final = "<|tool_call:name|>"
MARKS: Final = CallMarks(
    "<|tool_call:begin|>", "<|tool_call:args|>", "<|tool_call:end|>"
)


def identified(text: str) -> list[Call]:
    """Parse consecutive calls.

    Raises
    ------
    ValueError
        There are no calls, one is malformed, or other text stands before, between or
        after them.
    """
    return [_call(before, given) for before, given in MARKS.split(text)]


def _call(before: str, arguments: str) -> Call:
    call_id, mark, name = before.partition(NAME)
    if not mark:
        raise ValueError(f"wanted {NAME}, found {short(before[:200])}")
    given = arguments_of(arguments)
    return Call(checked_name(name.strip()), given, call_id.strip() or None)
