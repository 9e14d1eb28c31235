"""Reading whole answers: pieces of any size give the same result."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence

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
    hunyuan_style,
    keyed_style,
    kimi_k3_style,
    minimax_style,
    tagged_style,
)
from llamacy.chat.reply.wrapping import SOLAR
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
    "solar": ReplyStyle(
        thinking=SOLAR.thinking,
        wrapping=SOLAR,
        tool_calls=tool_call_marks.SOLAR,
        names=NAMES,
    ),
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
        hunyuan_style({}),
        keyed_style({}),
        minimax_style({}),
        kimi_k3_style({}),
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


def told(changes: Sequence[Change]) -> dict[str, tuple[str, str]]:
    """Return name and joined arguments of each call in the deltas, by id."""
    calls: list[tuple[str, str]] = []
    ids: list[str] = []
    for delta in (delta for change in changes for delta in change.call_deltas):
        if delta.index == len(calls):
            assert delta.id and delta.name
            ids.append(delta.id)
            calls.append((delta.name, delta.arguments))
        else:
            assert not (delta.id or delta.name)
            name, before = calls[delta.index]
            calls[delta.index] = name, before + delta.arguments
    assert len(set(ids)) == len(ids)
    return dict(zip(ids, calls, strict=True))


def assert_told(changes: Sequence[Change], calls: Sequence[ToolCall]) -> None:
    """Check that the deltas are all calls, and no others that look complete."""
    found = told(changes)
    for call in calls:
        arguments = json.dumps(call.arguments, ensure_ascii=False)
        assert found.pop(call.id) == (call.name, arguments)
    for _, arguments in found.values():
        with pytest.raises(ValueError, match="."):
            json.loads(arguments)


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_the_sizes_of_the_pieces_make_no_difference(
    style: ReplyStyle, data: st.DataObject
) -> None:
    text = "".join(data.draw(texts(style)))
    reader = ReplyReader(style, data.draw(st.booleans()) and style.thinking is not None)
    reply = reader.begin()
    changes = []
    at = 0
    sizes = itertools.cycle(data.draw(st.lists(st.integers(1, 9), min_size=1)))
    while at < len(text):
        n = next(sizes)
        changes.append(reply.push(text[at : at + n]))
        at += n
    changes.append(reply.end())
    whole = reader.whole(text)
    assert state(reply) == state(whole)
    assert_told(changes, whole.tool_calls)
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
@settings(max_examples=15, deadline=None)
def test_no_word_of_an_answer_is_lost(style: ReplyStyle, data: st.DataObject) -> None:
    pieces = data.draw(texts(style))
    words = [f" word{i}end " for i in range(len(pieces))]
    text = "".join(part for both in zip(pieces, words, strict=True) for part in both)
    whole = ReplyReader(style).whole(text)
    found = f"{whole.text} {whole.reasoning} {whole.tool_calls} {whole.bad_calls}"
    assert [word for word in words if word.strip() not in found] == []


ARGUMENTS = '{"city": "Pa\\u00f6ris", "days": [1, 2.50]}'
ONE = f'{{"name": "weather", "arguments": {ARGUMENTS}}}'
TWO = f'{{"id": "given9999", "name": "weather", "parameters":{ARGUMENTS}}}'
KIMI_CALL = (
    f"<|tool_call_begin|>functions.weather:0<|tool_call_argument_begin|>{ARGUMENTS}"
    "<|tool_call_end|>"
)
FENCED = (
    "<｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n```json\n"
    f"{ARGUMENTS}\n```<｜tool▁call▁end｜>"
)


@pytest.mark.parametrize(
    ("style", "text", "n"),
    [
        (
            "hermes",
            f"<tool_call>\n{ONE}\n</tool_call>\n<tool_call>{TWO}</tool_call>",
            2,
        ),
        ("mistral", f"[TOOL_CALLS] [{ONE}, {TWO}]", 2),
        ("mistral", f"[TOOL_CALLS]weather[ARGS]{ARGUMENTS}", 1),
        ("mistral", f"[TOOL_CALLS]weather[CALL_ID]abcdefghi[ARGS]{ARGUMENTS}", 1),
        ("llama-3", f"{ONE}", 1),
        ("llama-3", f"```json\n{ONE}\n```", 1),
        (
            "harmony",
            f" to=functions.weather<|channel|>commentary<|message|>{ARGUMENTS}",
            1,
        ),
        ("functionary", f"weather\n{ARGUMENTS}>>>weather\n{ARGUMENTS}", 2),
        (
            "<|tools_prefix|>",
            f'<|tools_prefix|>[{{"weather": {ARGUMENTS}}}, {{"weather": {ARGUMENTS}}}]'
            "<|tools_suffix|>",
            2,
        ),
        ("<|START_ACTION|>", f"<|START_ACTION|>[\n  {TWO}\n]<|END_ACTION|>", 1),
        (
            "<|tool_calls_section_begin|>",
            f"<|tool_calls_section_begin|>{KIMI_CALL}{KIMI_CALL.replace(':0', ':1')}"
            "<|tool_calls_section_end|>",
            2,
        ),
        (
            "<｜tool▁calls▁begin｜>",
            f"<｜tool▁calls▁begin｜>{FENCED}\n{FENCED}<｜tool▁calls▁end｜>",
            2,
        ),
    ],
)
def test_calls_are_told_while_they_are_written(style: str, text: str, n: int) -> None:
    reply = ReplyReader(STYLES[style], salt="abcdef").begin()
    changes = [reply.push(char) for char in text]
    changes.append(reply.end())
    assert len(reply.tool_calls) == n
    assert_told(changes, reply.tool_calls)
    deltas = [delta for change in changes for delta in change.call_deltas]
    for index in range(n):
        assert len([one for one in deltas if one.index == index]) > 10


def test_a_call_that_fails_never_looks_complete() -> None:
    for body, is_call in (
        (ONE[:-1], False),  # cut off
        (f"{ONE} and more", False),
        (ONE.replace('"days"', "'days'"), True),  # Python
        (ONE.replace('"days"', '"city"'), True),  # the second counts
    ):
        reply = ReplyReader(STYLES["hermes"]).begin()
        changes = [reply.push(char) for char in f"<tool_call>{body}</tool_call>"]
        changes.append(reply.end())
        assert bool(reply.tool_calls) == is_call
        assert told(changes)
        assert_told(changes, reply.tool_calls)


def test_a_call_that_the_prompt_has_begun_is_told_from_its_start() -> None:
    begun, rest = f"<tool_call>{ONE}"[:60], f"<tool_call>{ONE}</tool_call>"[60:]
    reply = ReplyReader(STYLES["hermes"], begun=begun).begin()
    changes = [reply.push(char) for char in rest]
    assert_told(changes, reply.tool_calls)
    assert len(reply.tool_calls) == 1


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
