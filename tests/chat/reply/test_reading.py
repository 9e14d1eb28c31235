"""Reading whole answers: pieces of any size give the same result."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamacy.chat.reply import tool_call_marks, tool_call_tags
from llamacy.chat.reply.reading import Change, Reply, ReplyReader
from llamacy.chat.reply.style import ReplyStyle
from llamacy.chat.reply.thinking import THINKING_MARKS
from llamacy.chat.reply.tool_call_marks import (
    HERMES,
    LLAMA_3,
    MISTRAL,
    ToolCallStyle,
    keyed_style,
    minimax_style,
    tagged_style,
)
from llamacy.chat.results import ToolCall

THINK = THINKING_MARKS[0]
NAMES = ("weather",)
STYLES = {
    "plain": ReplyStyle(),
    "thinking": ReplyStyle(thinking=THINK),
    "hermes": ReplyStyle(thinking=THINK, tool_calls=HERMES, names=NAMES),
    "mistral": ReplyStyle(thinking=THINKING_MARKS[1], tool_calls=MISTRAL, names=NAMES),
    "llama-3": ReplyStyle(tool_calls=LLAMA_3, names=NAMES),
    "harmony": ReplyStyle(has_channels=True, names=NAMES),
    "functionary": ReplyStyle(has_recipients=True, names=NAMES),
    "always": ReplyStyle(thinking=THINK, always_thinks=True),
}
TAGS = tool_call_tags.CODER
STYLES |= {
    style.open or style.bare: ReplyStyle(tool_calls=style, names=NAMES)
    for style in (
        *(
            one
            for one in vars(tool_call_marks).values()
            if isinstance(one, ToolCallStyle)
        ),
        tagged_style({}),
        tagged_style({}, "", None),
        keyed_style({}),
        minimax_style({}),
    )
}
JSON = '{"name": "weather", "arguments": {}}'
SHAPES = (
    *("[weather(", 'a="', '")]', "<function=weather>", "</function>", "```"),
    *("<parameter=a>", "</parameter>", "\n", "<arg_key>a</arg_key>", "<arg_value>"),
    *("</arg_value>", "call:weather{a:", "}", "<think>", "</think>", "`"),
    *("</tool_call>", "functions.weather:0", '{"parameters": {}, "name": "weather"}'),
)


def texts(style: ReplyStyle) -> st.SearchStrategy[list[str]]:
    """Generate marks, parts of marks, tool calls and other text, in any order."""
    pieces = [*style.marks, *(mark[:3] for mark in style.marks), JSON, JSON[:9]]
    pieces += [
        *SHAPES,
        "a",
        " ",
        "\n",
        "to=functions.x",
        "weather\n",
        "analysis",
        "{}",
        "weather",
        "x" * 90,
    ]
    return st.lists(st.sampled_from(pieces), max_size=12)


def state(reply: Reply) -> tuple[object, ...]:
    return reply.text, reply.reasoning, reply.tool_calls, reply.bad_calls


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_sizes_of_the_pieces_make_no_difference(
    style: ReplyStyle, data: st.DataObject
) -> None:
    text = "".join(data.draw(texts(style)))
    reader = ReplyReader(style, data.draw(st.booleans()) and style.thinking is not None)
    reply = reader.begin()
    changes = []
    at = 0
    while at < len(text):
        n = data.draw(st.integers(1, 9))
        changes.append(reply.push(text[at : at + n]))
        at += n
    changes.append(reply.end())
    whole = reader.whole(text)
    assert state(reply) == state(whole)
    assert "".join(change.text for change in changes) == whole.text
    # an answer without marks is returned unchanged
    if not any(mark[:3] in text for mark in style.marks) and not reader.is_thinking:
        assert whole.text == text or whole.tool_calls


# but for channels: a message's header, such as its recipient, is no part of the answer
@pytest.mark.parametrize(
    "style",
    [pytest.param(each, id=name) for name, each in STYLES.items() if name != "harmony"],
)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_no_word_of_an_answer_is_lost(style: ReplyStyle, data: st.DataObject) -> None:
    pieces = data.draw(texts(style))
    words = [f" word{i}end " for i in range(len(pieces))]
    text = "".join(part for both in zip(pieces, words, strict=True) for part in both)
    whole = ReplyReader(style).whole(text)
    found = f"{whole.text} {whole.reasoning} {whole.tool_calls} {whole.bad_calls}"
    assert [word for word in words if word.strip() not in found] == []


def test_one_answer_may_have_reasoning_text_good_calls_and_bad() -> None:
    reader = ReplyReader(STYLES["hermes"], salt="abcdef")
    reply = reader.whole(
        f"<think>\nHm.\n</think>\n\nI look.\n<tool_call>\n{JSON}\n</tool_call>\n"
        f"<tool_call>nonsense</tool_call>\n<tool_call>{JSON}</tool_call>"
    )
    assert reply.reasoning == "Hm."
    assert reply.text == "I look.\n\n<tool_call>nonsense</tool_call>"
    assert reply.tool_calls == (
        ToolCall("weather", {}, "abcdef000"),
        ToolCall("weather", {}, "abcdef001"),
    )
    (why,) = reply.bad_calls
    assert "wanted JSON" in why


def test_tool_calls_have_stable_ids_of_nine_characters() -> None:
    style = STYLES["mistral"]
    text = '[TOOL_CALLS] [{"name": "weather", "id": "given9999"}, {"name": "weather"}]'
    one, other = ReplyReader(style), ReplyReader(style)
    ids = [
        call.id
        for reader in (one, one, other)
        for call in reader.whole(text).tool_calls
    ]
    assert ids[::2] == ["given9999"] * 3
    assert ids[1] == ids[3] != ids[5]
    assert all(len(call_id) == 9 and call_id.isalnum() for call_id in ids)


def test_a_change_is_false_if_it_is_empty() -> None:
    reply = ReplyReader(STYLES["thinking"]).begin()
    assert not reply.push("<thi")
    assert reply.push("nk>so") == Change(reasoning="so")
    assert not reply.end()
