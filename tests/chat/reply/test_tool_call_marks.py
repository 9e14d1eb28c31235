"""Tool calls between marks."""

from __future__ import annotations

import pytest

from llamacy.chat.reply.parts import BadCall, Call, Part, Text
from llamacy.chat.reply.schema_types import ValueTypes
from llamacy.chat.reply.tool_call_marks import (
    DEEPSEEK,
    HERMES,
    LLAMA_3,
    MISTRAL,
    ToolCallStyle,
    tagged_style,
)
from llamacy.chat.reply.tool_call_splitter import ToolCallSplitter
from tests.support.answer_parts import complete

NAMES = ("weather", "time")
WEATHER, TIME = Call("weather", {"city": "Paris"}), Call("time", {})
JSON = '{"name": "weather", "arguments": {"city": "Paris"}}'
CODER = tagged_style({})
CITY = "<function=weather>\n<parameter=city>\nParis\n</parameter>\n</function>"
PARIS_IN_MARKS = (
    '<｜tool▁call▁begin｜>weather<｜tool▁sep｜>{"city": "Paris"}<｜tool▁call▁end｜>'
)
TIME_IN_MARKS = PARIS_IN_MARKS.replace("weather", "time").replace('"city": "Paris"', "")


def read(style: ToolCallStyle, text: str) -> tuple[str, list[Part]]:
    """Return the text and the tool calls of an answer that arrives in one piece."""
    splitter = ToolCallSplitter(style, NAMES)
    parts = [*splitter.push(text), *splitter.end()]
    said = "".join(part.text for part in parts if isinstance(part, Text | BadCall))
    return said, [part for part in parts if isinstance(part, Call)]


@pytest.mark.parametrize(
    ("style", "text", "said", "calls"),
    [
        (HERMES, f"<tool_call>\n{JSON}\n</tool_call>", "", [WEATHER]),
        (HERMES, f"I look.\n<tool_call>{JSON}</tool_call>\n", "I look.", [WEATHER]),
        (HERMES, f'<tool_call>{JSON}</tool_call>\n<tool_call>{{"name": "time"}}'
         "</tool_call>", "", [WEATHER, TIME]),
        (HERMES, f"a<tool_call>{JSON}</tool_call>\nb ", "a\n\nb", [WEATHER]),
        (HERMES, f"<tool_call>{JSON}", "", [WEATHER]),  # the model forgot to close it
        (HERMES, JSON, "", [WEATHER]),  # Qwen 2.5 Coder forgets the marks
        (HERMES, f"{JSON}\n</tool_call>", "", [WEATHER]),
        (HERMES, f"<tool_call>{JSON}</tool_c", "", [WEATHER]),
        (HERMES, f"<tool_call>{JSON}\n\nI wait.", "I wait.", [WEATHER]),
        (HERMES, f'<tool_call>{JSON}\n<tool_call>{{"name": "time"}}</tool_call>', "",
         [WEATHER, TIME]),
        (HERMES, f"<tool_call>{JSON}</tool_call></tool_call>", "", [WEATHER]),
        (HERMES, "no </tool_call>", "no </tool_call>", []),
        (HERMES, f"I look.\n```json\n{JSON}\n```\nDone.", "I look.\n\nDone.",
         [WEATHER]),
        (HERMES, "```json\n{}\n```", "```json\n{}\n```", []),
        (HERMES, " no <tool_cal> calls \n", " no <tool_cal> calls \n", []),
        (MISTRAL, f"[TOOL_CALLS] [{JSON}]", "", [WEATHER]),
        (MISTRAL, f'[TOOL_CALLS][{JSON}, {{"name": "time"}}]', "", [WEATHER, TIME]),
        (MISTRAL, 'a [TOOL_CALLS]weather[ARGS]{"city": "Paris"}[TOOL_CALLS]time{}',
         "a", [WEATHER, TIME]),
        (CODER, f"I look.\n\n<tool_call>\n{CITY}\n</tool_call>", "I look.", [WEATHER]),
        (CODER, f"<tool_call>{CITY}</tool_call>\n<tool_call>\n<function=time>"
         "\n</function>\n</tool_call>\nb", "b", [WEATHER, TIME]),
        (CODER, CITY, "", [WEATHER]),
        (CODER, f"I look.\n{CITY}\n</tool_call>\nb", "I look.\n\nb", [WEATHER]),
        (CODER, CITY.replace("weather", "Bob"), CITY.replace("weather", "Bob"), []),
        (CODER, f"<tool_call>\n{JSON}\n</tool_call>", "", [WEATHER]),
        (DEEPSEEK, f"a<｜tool▁calls▁begin｜>{PARIS_IN_MARKS}\n{TIME_IN_MARKS}"
         "<｜tool▁calls▁end｜>", "a", [WEATHER, TIME]),
        (DEEPSEEK, f"<｜tool▁calls▁begin｜>{PARIS_IN_MARKS}", "", [WEATHER]),
        (LLAMA_3, f"<|python_tag|>{JSON}", "", [WEATHER]),
        (LLAMA_3, f'{JSON}; {{"name": "time", "parameters": {{}}}}', "",
         [WEATHER, TIME]),
        (LLAMA_3, f"\n {JSON}\n", "", [WEATHER]),
        (LLAMA_3, f"So: {JSON}", f"So: {JSON}", []),
        (LLAMA_3, f"So:\n{JSON}", "So:", [WEATHER]),
        (LLAMA_3, f"{JSON}\n\nThat is it.", "That is it.", [WEATHER]),
        (LLAMA_3, f"[{JSON}]", "", [WEATHER]),
        (LLAMA_3, '[weather(city="Paris"), time()]', "", [WEATHER, TIME]),
        (LLAMA_3, '{"parameters": {"city": "Paris"}, "name": "weather"}', "",
         [WEATHER]),
        (LLAMA_3, '{"parameters": 5}', '{"parameters": 5}', []),
        (LLAMA_3, "[weather](x)", "[weather](x)", []),
        (LLAMA_3, '{"name": "Bob", "parameters": {}}',
         '{"name": "Bob", "parameters": {}}', []),
        (LLAMA_3, ' {"a": 1} ', ' {"a": 1} ', []),
        (LLAMA_3, "{", "{", []),
    ],
)  # fmt: skip
def test_calls_are_taken_out_of_the_text(
    style: ToolCallStyle, text: str, said: str, calls: list[Part]
) -> None:
    assert read(style, text) == (said, calls)


@pytest.mark.parametrize(
    ("style", "text", "n_bad"),
    [
        (HERMES, "a \n<tool_call>\n{nonsense}\n</tool_call>\nb \n", 1),
        (HERMES, "<tool_call></tool_call><tool_call>{", 2),
        (HERMES, "<tool_call>", 1),
        (CODER, f"<tool_call>\n{CITY[:-12]}", 1),  # cut off
        (LLAMA_3, f"So: {JSON}", 1),
        (CODER, f"a <tool_call>\n{CITY[:-20]}", 1),
        (DEEPSEEK, f"<｜tool▁calls▁begin｜>{JSON}<｜tool▁calls▁end｜> b", 1),
        (MISTRAL, "a [TOOL_CALLS] [{}", 1),
        (MISTRAL, "[TOOL_CALLS]x[TOOL_CALLS]y", 2),
        (LLAMA_3, "<|python_tag|>print(1)", 1),
        (LLAMA_3, ' {"name": "weather", "parameters": {"city": "Pa', 1),
        (LLAMA_3, f"{JSON} That is the weather.", 1),
    ],
)
def test_a_malformed_tool_call_stays_text(
    style: ToolCallStyle, text: str, n_bad: int
) -> None:
    splitter = ToolCallSplitter(style, NAMES)
    parts = [*splitter.push(text), *splitter.end()]
    assert read(style, text) == (text, [])
    reasons = [part.why for part in parts if isinstance(part, BadCall)]
    assert len(reasons) == n_bad
    assert all("wanted" in reason for reason in reasons)


def test_a_call_is_yielded_when_it_is_complete() -> None:
    splitter = ToolCallSplitter(HERMES, NAMES)
    expected: list[tuple[str, list[Part]]] = [
        ("I look.\n", [Text("I look.")]),
        ("<tool", []),
        ("_call>", []),
        (JSON, []),
        ("</tool_call", []),
        (">", [WEATHER]),
        ("\n", []),
        ("So <", [Text("\n\nSo")]),
        ("b", [Text(" <b")]),
    ]
    found = [(text, complete(splitter.push(text))) for text, _ in expected]
    assert found == expected


def test_a_text_that_begins_with_a_brace_is_not_held_back_for_long() -> None:
    splitter = ToolCallSplitter(LLAMA_3, NAMES)
    assert not list(splitter.push('{"'))
    assert not list(splitter.push('name": "wea'))
    assert list(splitter.push("k")) == [Text('{"name": "weak')]
    assert not list(splitter.push(" " * 200 + "{" + " " * 100))
    assert list(splitter.push(" " * 10 + "1")) == [
        Text(" " * 200 + "{" + " " * 110 + "1")
    ]
    # without tools nothing is held back
    assert list(ToolCallSplitter(LLAMA_3, ()).push(JSON)) == [Text(JSON)]


HELP = (
    '{"name": "weather", "arguments": '
    '{"city": "<tool_call>a</tool_call> \\"b</tool_call>"}}'
)
IN_TAGS = (
    "<tool_call>\na\n</tool_call>\nb</parameter> </function> "
    "<parameter=city> c </parameter> d"
)


@pytest.mark.parametrize(
    ("style", "text", "city"),
    [
        (HERMES, HELP, '<tool_call>a</tool_call> "b</tool_call>'),
        (CODER, CITY.replace("Paris", IN_TAGS), IN_TAGS),
        (CODER, CITY.replace("Paris", "a </tool_call> b"), "a </tool_call> b"),
    ],
)
def test_marks_inside_arguments_are_text(
    style: ToolCallStyle, text: str, city: str
) -> None:
    written = f"a <tool_call>{text}</tool_call> b"
    assert read(style, written) == ("a\n\nb", [Call("weather", {"city": city})])


TYPES = {"f": {"path": ValueTypes(["string"]), "n": ValueTypes(["integer"])}}


@pytest.mark.parametrize(
    ("body", "arguments"),
    [
        ("<parameter=path>\na\n<parameter=n>\n3\n</parameter>\n</function>",
         {"path": "a", "n": 3}),
        ("<parameter=path>a<parameter=n>3</parameter></function>",
         {"path": "a", "n": 3}),
        ("<parameter=path>\na\n</parameter>\n<parameter=n>\n3\n</function>",
         {"path": "a", "n": 3}),
        ("<parameter=path>\na\n</parameter>\n", {"path": "a"}),
        ("<parameter=path>\na <parameter=n>3</parameter> b\n</parameter>\n</function>",
         {"path": "a <parameter=n>3</parameter> b"}),
        ("<parameter=path>\na\n<parameter=m>\n3\n</parameter>\n</function>", None),
        ("<parameter=path>\na\n</function>\n<parameter=n>\n3\n</parameter>\n"
         "</function>", None),
        ("<parameter=path>\na\n", None),
    ],
)  # fmt: skip
def test_a_missing_closing_tag_puts_no_parameter_into_another(
    body: str, arguments: dict[str, object] | None
) -> None:
    splitter = ToolCallSplitter(tagged_style(TYPES), ("f",))
    text = f"<tool_call>\n<function=f>\n{body}</tool_call>"
    parts = [*splitter.push(text), *splitter.end()]
    calls = [part.arguments for part in parts if isinstance(part, Call)]
    assert calls == ([] if arguments is None else [arguments])
    assert any(isinstance(part, BadCall) for part in parts) == (arguments is None)


@pytest.mark.parametrize(
    ("style", "broken"),
    [
        (HERMES, '{"name": "weather", "arguments": {"city": "Pa}}'),
        (CODER, "<function=weather>\n<parameter=city>\nParis"),
        (CODER, "nonsense"),
    ],
)
def test_a_broken_call_does_not_swallow_the_next(
    style: ToolCallStyle, broken: str
) -> None:
    good = JSON if style is HERMES else CITY
    first = f"<tool_call>{broken}</tool_call>"
    text = f"{first}\n<tool_call>\n{good}\n</tool_call>"
    assert read(style, text) == (first, [WEATHER])
