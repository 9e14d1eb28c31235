"""Parsing tool calls as DeepSeek's models write them, each between marks of its own.

V3.1 writes `name<｜tool▁sep｜>{"city": "Paris"}`. V3 and R1 write the kind of tool
first, `function<｜tool▁sep｜>name`, and the arguments on the next lines, as a fenced
block of JSON. Source: the chat templates of these models.
"""

from __future__ import annotations

from typing import Final

from llamacy.chat.reply.parts import Call, CallMarks
from llamacy.chat.reply.tool_call_json import arguments_of, checked_name

BEGIN, END = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
MARKS: Final = CallMarks(
    "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>"
)
_FENCE: Final = "```"


def fenced_or_plain(text: str) -> list[Call]:
    """Parse consecutive calls.

    Raises
    ------
    ValueError
        There are no calls, one is malformed, or other text stands before, between or
        after them.
    """
    return [_call(first, second.strip()) for first, second in MARKS.split(text)]


def _call(first: str, second: str) -> Call:
    name, arguments = first, second
    if not second.startswith("{"):
        name, _, fenced = second.partition(_FENCE)
        arguments = fenced.removeprefix("json").removesuffix(_FENCE)
    return Call(checked_name(name.strip()), arguments_of(arguments))
