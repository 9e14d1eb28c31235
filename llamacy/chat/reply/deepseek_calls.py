"""Calls between marks of their own, as DeepSeek's models write them.

V3.1 writes ``name<｜tool▁sep｜>{"city": "Paris"}``; V3 and R1 the kind of tool first,
and the arguments in a fence: ``function<｜tool▁sep｜>name``, a line break, and JSON
between three backquotes and ``json``, and three backquotes. Source: the chat templates
of these models.
"""

from __future__ import annotations

from typing import Final

from llamacy.chat.messages import short
from llamacy.chat.reply.call_texts import arguments_of, checked_name
from llamacy.chat.reply.parts import Call

BEGIN, END = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
_CALL_BEGIN, _SEPARATOR, _CALL_END = MARKS = (
    "<｜tool▁call▁begin｜>",
    "<｜tool▁sep｜>",
    "<｜tool▁call▁end｜>",
)
_FENCE: Final = "```"


def fenced_or_plain(text: str) -> list[Call]:
    """Read calls one after the other.

    Raises
    ------
    ValueError : there is none, or something else between them.
    """
    before, *written = text.split(_CALL_BEGIN)
    if before.strip() or not written:
        raise ValueError(f"wanted {_CALL_BEGIN}, found {short(text)}")
    return [_call(one) for one in written]


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
