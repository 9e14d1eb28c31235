"""Readers of answers: text in any pieces, in every known way of calling tools."""

from __future__ import annotations

from typing import Any, Final

from llamacy.chat.reply import tool_call_marks, tool_call_tags
from llamacy.chat.reply.reading import ReplyReader
from llamacy.chat.reply.style import ReplyStyle
from llamacy.chat.reply.thinking import THINKING_MARKS
from llamacy.chat.reply.tool_call_marks import (
    ToolCallStyle,
    hermes_style,
    hunyuan_style,
    keyed_style,
    kimi_k3_style,
    minimax_style,
    tagged_style,
)
from llamacy.chat.reply.wrapping import KIMI_K3, SOLAR

from ..documents import data_of, document_of

_NAMES = ("weather", "f")
_TYPES: Any = {"weather": {"city": {"type": "string"}, "n": {"type": "integer"}}}
_TAGS = [
    each for each in vars(tool_call_tags).values()
    if isinstance(each, tool_call_tags.Tags)
]  # fmt: skip
_CALLS: Final[tuple[ToolCallStyle, ...]] = (
    *(
        each
        for each in vars(tool_call_marks).values()
        if isinstance(each, ToolCallStyle)
    ),
    *(tagged_style(_TYPES, "<tool_call>", "</tool_call>", tags) for tags in _TAGS),
    *(tagged_style({}, "", None, tags) for tags in _TAGS),
    keyed_style(_TYPES),
    hunyuan_style(_TYPES),
    kimi_k3_style(_TYPES),
    minimax_style(_TYPES),
    hermes_style(_TYPES),
)
STYLES: Final = (
    ReplyStyle(),
    ReplyStyle(has_channels=True, names=_NAMES),
    ReplyStyle(has_recipients=True, names=_NAMES),
    *(ReplyStyle(thinking=marks, always_thinks=True) for marks in THINKING_MARKS),
    *(
        ReplyStyle(thinking=thinking, tool_calls=calls, names=_NAMES)
        for calls in _CALLS
        for thinking in (None, THINKING_MARKS[0])
    ),
    *(
        ReplyStyle(
            thinking=each.thinking, wrapping=each, tool_calls=calls, names=_NAMES
        )
        for each, calls in (
            (SOLAR, tool_call_marks.SOLAR),
            (KIMI_K3, kimi_k3_style(_TYPES)),
        )
    ),
)
"""Every way of writing that templates may stand for."""

_JSON = '{"name": "weather", "arguments": {"city": "Oslo", "n": 3}}'
_SHAPES = (
    *("[weather(", 'city="Oslo"', ", n=3", ")]", "weather(", ")", "[", "]", ","),
    *("<function=weather>", "</function>", "<parameter=city>", "</parameter>"),
    *('<invoke name="weather">', "</invoke>", '<parameter name="city">', "<arg_key>"),
    *("</arg_key>", "<arg_value>", "</arg_value>", "call:weather{city:", '<|"|>', "}"),
    *("functions.weather:0", "to=functions.weather", "analysis", "commentary"),
    *("final", ">>>", "all\n", "weather\n", "<think>", "</think>", "```", "`"),
    *("```json\n", "\n", " ", "{"),
    *("weather", "Oslo", '"', "'", "\\", "\\u00", "1e999", "-", "0x", "null"),
    *("x" * 90, "\ud83d", "\u00e9"),
)


def seeds() -> list[bytes]:
    """Return a call in each way of writing, pieces of marks, and text."""
    made = []
    for i, style in enumerate(STYLES):
        marks = list(style.marks)
        cut = [mark[: len(mark) // 2] for mark in marks]
        for inside in ([_JSON], _SHAPES[:5], _SHAPES[9:15], [*cut, "a"]):
            pieces = ["so ", *marks[:1], *inside, *marks[1:], " done"]
            made.append(data_of({"style": i, "sizes": [3, 1, 9], "pieces": pieces}))
    made.append(data_of({"style": 5, "begun": "<think>", "pieces": [*_SHAPES]}))
    return made


def run(data: bytes) -> None:
    """Read an answer whole and in pieces, and compare."""
    document = document_of(data)
    if document is None:
        return
    number = document.get("style")
    style = STYLES[number % len(STYLES) if isinstance(number, int) else 0]
    pieces, begun = document.get("pieces"), document.get("begun")
    text = "".join(map(str, pieces if isinstance(pieces, list) else ()))
    found = document.get("sizes")
    sizes = [
        each for each in (found if isinstance(found, list) else ())
        if type(each) is int and 0 < each < 1000
    ] or [1]  # fmt: skip
    is_thinking = bool(document.get("thinking")) and style.thinking is not None
    begun = begun if isinstance(begun, str) else ""
    reader = ReplyReader(style, is_thinking, "abcdef", begun)
    whole, reply = reader.whole(text), reader.begin()
    at, said = 0, ""
    while at < len(text):
        size = sizes[at % len(sizes)]
        said += reply.push(text[at : at + size]).text
        at += size
    said += reply.end().text
    for name in ("text", "reasoning", "tool_calls", "bad_calls"):
        assert repr(getattr(reply, name)) == repr(getattr(whole, name)), name
    assert said == whole.text
