"""Parsing tool calls as DeepSeek's models write them, each between marks of its own.

V3.1 writes `name<｜tool▁sep｜>{"city": "Paris"}`. V3 and R1 write the kind of tool
first, `function<｜tool▁sep｜>name`, and the arguments on the next lines, as a fenced
block of JSON. Source: the chat templates of these models.
"""

from __future__ import annotations

from typing import Final

from llamacy.arguments import short
from llamacy.chat.reply.parts import Call
from llamacy.chat.reply.tool_call_json import arguments_of, checked_name

BEGIN, END = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
_CALL_BEGIN, _SEPARATOR, _CALL_END = MARKS = (
    "<｜tool▁call▁begin｜>",
    "<｜tool▁sep｜>",
    "<｜tool▁call▁end｜>",
)
_FENCE: Final = "```"


def fenced_or_plain(text: str) -> list[Call]:
    """Parse consecutive calls.

    Raises
    ------
    ValueError
        There are no calls, or other text stands before or between them.
    """
    before, *calls = text.split(_CALL_BEGIN)
    if before.strip() or not calls:
        raise ValueError(f"wanted {_CALL_BEGIN}, found {short(text)}")
    return [_call(call) for call in calls]


def _call(text: str) -> Call:
    body, _, after = text.partition(_CALL_END)
    name, separator, rest = body.partition(_SEPARATOR)
    if not separator or after.strip():
        wanted = f"{_CALL_BEGIN} after a call" if separator else _SEPARATOR
        raise ValueError(
            f"wanted {wanted}, found {short(after if separator else body)}"
        )
    rest = rest.strip()
    if not rest.startswith("{"):
        name, _, rest = rest.partition(_FENCE)
        rest = rest.removeprefix("json").removesuffix(_FENCE)
    return Call(checked_name(name.strip()), arguments_of(rest))
