"""Parsing the text between the marks of tool calls, in every style."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

import llamacy
from llamacy.chat.messages import checked_messages
from llamacy.chat.reply import tool_call_json, tool_call_python
from llamacy.chat.reply.parts import Call
from llamacy.chat.reply.schema_types import parameter_types
from llamacy.chat.reply.tool_call_deepseek import fenced_or_plain
from llamacy.chat.reply.tool_call_keys import separated
from llamacy.chat.reply.tool_call_kimi import identified
from llamacy.chat.reply.tool_call_kimi_k3 import sectioned
from llamacy.chat.reply.tool_call_solar import identified as solar
from llamacy.chat.reply.tool_call_tags import tagged

Read = Callable[[str], list[Call]]
PARIS: Any = {"city": "Paris", "days": [1, {"a": None}]}
WRITTEN = json.dumps(PARIS)


def whole(read: Callable[[str], tuple[list[Call], str]]) -> Read:
    """Return a reader that refuses text behind the calls."""

    def calls(text: str) -> list[Call]:
        found, left = read(text)
        if left.strip():
            raise ValueError(f"wanted nothing after the JSON, found {left[:40]!r}")
        return found

    return calls


one_object = whole(tool_call_json.json_calls)
objects = whole(tool_call_python.built_in_calls)
list_or_named = whole(tool_call_json.list_or_named)


def f(**arguments: Any) -> Call:
    return Call("f", arguments)


@pytest.mark.parametrize(
    ("read", "text", "calls"),
    [
        (one_object, f'{{"name": "f", "arguments": {WRITTEN}}}', [f(**PARIS)]),
        (one_object, '\n{"arguments": {}, "name": "f"}\n', [f()]),
        (one_object, '{"name": "f"}', [f()]),
        (one_object, '{"name": "f", "arguments": null}', [f()]),
        (one_object, '{"name": "f", "arguments": "{\\"a\\": 1}"}', [f(a=1)]),
        (one_object, '{"name": "f", "arguments": {"a": "1\n2"}}', [f(a="1\n2")]),
        (one_object, '{"name": "f", "arguments": " "}', [f()]),
        (one_object, '{"name": "f", "arguments": {"a": 1}}}', [f(a=1)]),
        (one_object, '{"name": "f", "arguments": {"a": 1,},}', [f(a=1)]),
        (one_object, "{'name': 'f', 'arguments': {'a': None}}", [f(a=None)]),
        (one_object, '```json\n{"name": "f"}\n```', [f()]),
        (one_object, '[{"name": "f"}, {"name": "g"}]', [f(), Call("g", {})]),
        (one_object, '{"name": "f"}\n{"name": "g"}', [f(), Call("g", {})]),
        (one_object, '{"type": "function", "id": "1", "function": {"name": "f", '
         '"arguments": "{\\"a\\": 1}"}}', [Call("f", {"a": 1}, "1")]),
        (one_object, '{"parameters": {"a": 1}, "tool_name": "f"}', [f(a=1)]),
        (objects, f'{{"name": "f", "parameters": {WRITTEN}}}', [f(**PARIS)]),
        (objects, '{"type": "function", "function": "f", "parameters": {}}', [f()]),
        (objects, '{"name": "f"}; {"name": "g"}\n{"name": "h"};',
         [f(), Call("g", {}), Call("h", {})]),
        (objects, 'g.call(query="a, b)")', [Call("g", {"query": "a, b)"})]),
        (objects, "x.call(a=1, b=[true])", [Call("x", {"a": 1, "b": [True]})]),
        (objects, "now.call()", [Call("now", {})]),
        (list_or_named, f'[{{"name": "f", "arguments": {WRITTEN}, "id": "abcdefghi"}}]',
         [Call("f", PARIS, "abcdefghi")]),
        (list_or_named, '[{"name": "f", "id": 5}, {"name": "g"}]',
         [f(), Call("g", {})]),
        (list_or_named, f"f[ARGS]{WRITTEN}", [f(**PARIS)]),
        (list_or_named, f" f {WRITTEN} ", [f(**PARIS)]),
        (list_or_named, "f[CALL_ID]k3f9a2000[ARGS]{}", [Call("f", {}, "k3f9a2000")]),
    ],
)  # fmt: skip
def test_calls_are_parsed_from_json(read: Read, text: str, calls: list[Call]) -> None:
    assert read(text) == calls


TOOL = {
    "function": {
        "name": "f",
        "parameters": {
            "properties": {
                "text": {"type": "string"},
                "n": {"type": "integer"},
                "x": {"type": "number"},
                "is": {"type": "boolean"},
                "list": {"type": "array"},
                "map": {"type": "object"},
                "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "either": {"type": ["string", "integer"]},
                "odd": 5,
            }
        },
    }
}


def coder(text: str) -> list[Call]:
    return tagged(text, parameter_types([TOOL]))


def kimi_k3(text: str) -> list[Call]:
    return sectioned(text, parameter_types([TOOL]))


def hunyuan(text: str) -> list[Call]:
    return separated(text, parameter_types([TOOL]))


def parameters(*named: tuple[str, str]) -> str:
    written = (f"<parameter={name}>\n{x}\n</parameter>\n" for name, x in named)
    return f"\n<function=f>\n{''.join(written)}</function>\n"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("text", "2", "2"),
        ("text", " null ", " null "),
        ("text", "a\n\n<b> & </parameter> \n", "a\n\n<b> & </parameter> \n"),
        ("text", "", ""),
        ("n", "2", 2),
        ("n", "-7", -7),
        ("n", "2.5", "2.5"),
        ("n", "two", "two"),
        ("n", "true", "true"),
        ("x", "2.5", 2.5),
        ("x", "2", 2),
        ("is", "true", True),
        ("is", "False", False),
        ("is", "1", "1"),
        ("list", '[1, {"a": "b"}]', [1, {"a": "b"}]),
        ("list", "1, 2", "1, 2"),
        ("map", '{"a": null}', {"a": None}),
        ("maybe", "None", None),
        ("maybe", "5", "5"),
        ("either", "5", 5),
        ("either", "five", "five"),
        ("odd", "5", "5"),
        ("unknown", "5", "5"),
    ],
)
def test_values_in_tags_get_the_types_of_the_schema(
    name: str, text: str, value: Any
) -> None:
    (call,) = coder(parameters((name, text)))
    assert call == Call("f", {name: value})
    assert type(call.arguments[name]) is type(value)


def test_calls_are_parsed_from_tags() -> None:
    both = parameters(("n", "1"), ("text", "a")) + "\n<function=g>\n</function>"
    assert coder(both) == [f(n=1, text="a"), Call("g", {})]
    assert coder("<function=f><parameter=n>1</parameter></function>") == [f(n=1)]
    assert tagged(parameters(("n", "1")), {}) == [f(n="1")]
    assert parameter_types([{"function": {"name": "f", "parameters": 5}}]) == {"f": {}}


def k3_call(*arguments: tuple[str, str, str]) -> str:
    written = (
        f'<|open|>argument key="{key}" type="{kind}"<|sep|>{x}<|close|>argument<|sep|>'
        for key, kind, x in arguments
    )
    return f'<|open|>call tool="f"<|sep|>{"".join(written)}<|close|>call<|sep|>'


@pytest.mark.parametrize(
    ("name", "kind", "text", "value"),
    [
        ("text", "number", "5", "5"),
        ("text", "object", '{"a": 1}', '{"a": 1}'),
        ("n", "string", "5", 5),
        ("either", "string", "5", "5"),
        ("either", "number", "5", 5),
        ("either", "object", '{"a": 1}', '{"a": 1}'),
        ("unknown", "string", "5", "5"),
        ("unknown", "number", "5", 5),
        ("unknown", "number", "five", "five"),
    ],
)
def test_a_type_that_is_named_decides_between_those_of_the_schema(
    name: str, kind: str, text: str, value: Any
) -> None:
    assert kimi_k3(k3_call((name, kind, text))) == [f(**{name: value})]


K3_JSON = "<|open|>json<|sep|>{}<|close|>json<|sep|>"
HUNYUAN = "<tool_call:opensource>f<tool_sep:opensource>{}</tool_call:opensource>"
HUNYUAN_ARGUMENT = (
    "<arg_key:opensource>{}</arg_key:opensource>"
    "<arg_value:opensource></arg_value:opensource>"
)
SOLAR = "<|tool_call:begin|>a<|tool_call:name|>f<|tool_call:args|>{}<|tool_call:end|>"
KIMI = "<|tool_call_begin|>{}<|tool_call_end|>"
KIMI_CALL = KIMI.format("functions.f:0<|tool_call_argument_begin|>{}")


def in_marks(*texts: str) -> str:
    return "\n".join(f"<｜tool▁call▁begin｜>{x}<｜tool▁call▁end｜>" for x in texts)


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        (in_marks(f"f<｜tool▁sep｜>{WRITTEN}"), [f(**PARIS)]),
        (in_marks(f"function<｜tool▁sep｜>f\n```json\n{WRITTEN}\n```"), [f(**PARIS)]),
        (in_marks("function<｜tool▁sep｜>f\n```\n{}```\n"), [f()]),
        (in_marks("f<｜tool▁sep｜>{}", 'g<｜tool▁sep｜>{"a": "```"}') + "\n",
         [f(), Call("g", {"a": "```"})]),
        ("<｜tool▁call▁begin｜>f<｜tool▁sep｜>{}", [f()]),  # without the closing mark
    ],
)  # fmt: skip
def test_calls_are_parsed_from_deepseeks_marks(text: str, calls: list[Call]) -> None:
    assert fenced_or_plain(text) == calls


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (coder, ""),
        (coder, "f()"),
        (coder, "<function=two words></function>"),
        (coder, "<function=></function>"),
        (coder, "<function=f><parameter=a>1"),
        (coder, "<function=f><parameter=a>1</parameter><parameter=a>2</parameter>"),
        (coder, "<function=f>1</function>"),
        (coder, "<function=f></function> and more"),
        (fenced_or_plain, ""),
        (fenced_or_plain, "f{}"),
        (fenced_or_plain, "so" + in_marks("f<｜tool▁sep｜>{}")),
        (fenced_or_plain, in_marks("f<｜tool▁sep｜>{}") + "so"),
        (fenced_or_plain, in_marks("f{}")),
        (fenced_or_plain, in_marks("f<｜tool▁sep｜>[]")),
        (fenced_or_plain, in_marks("function<｜tool▁sep｜>f")),
        (fenced_or_plain, in_marks("function<｜tool▁sep｜>two words\n```json\n{}```")),
        (identified, ""),
        (identified, f"so{KIMI_CALL}"),
        (identified, f"{KIMI_CALL}so"),
        (identified, KIMI.format("functions.f:0{}")),
        (identified, KIMI.format("<|tool_call_argument_begin|>{}")),
        (identified, KIMI.format("two words<|tool_call_argument_begin|>{}")),
        (solar, ""),
        (solar, f"{SOLAR}so"),
        (solar, SOLAR.replace("<|tool_call:name|>", "")),
        (solar, SOLAR.replace("<|tool_call:args|>", "")),
        (solar, SOLAR.replace("f<", "two words<")),
        (hunyuan, ""),
        (hunyuan, HUNYUAN.format("") + "so"),
        (hunyuan, HUNYUAN.format("so")),
        (hunyuan, HUNYUAN.format("").replace("f<", "two words<")),
        (kimi_k3, ""),
        (kimi_k3, f"{k3_call()}so"),
        (kimi_k3, k3_call().replace(' tool="f"', "")),
        (kimi_k3, k3_call(("n", "number", "1"), ("n", "number", "2"))),
        (kimi_k3, k3_call(("n", "number", "1")).replace("<|close|>argument", "")),
        (kimi_k3, k3_call().replace("<|sep|>", f"<|sep|>{K3_JSON}{K3_JSON}", 1)),
        (
            kimi_k3,
            k3_call(("n", "number", "1")).replace(
                "<|close|>call", f"{K3_JSON}<|close|>call"
            ),
        ),
    ],
)
def test_malformed_tags_and_marks_raise_a_short_error(read: Read, text: str) -> None:
    with pytest.raises(ValueError, match="wanted") as caught:
        read(text)
    assert len(str(caught.value)) < 300


DEEP = "[" * 100_000
BAD_OBJECTS = [
    ("", "wanted JSON"),
    ("hello", "wanted JSON"),
    ('{"name": "f", "arguments": {"a": 1}', "wanted JSON"),
    ('{"name": "f"} and more', "JSON"),
    ('["f"]', "wanted a call as an object|wanted the name"),
    ("5", "wanted a call as an object"),
    ('{"arguments": {}}', "wanted the name of a tool, found None"),
    ('{"name": "two words"}', "wanted the name of a tool, found 'two words'"),
    ('{"name": "f", "city": "Paris"}', r"wanted arguments, found \['city'\]"),
    ('{"name": ""}', "wanted the name of a tool"),
    ('{"name": "f", "arguments": [1]}', r"wanted arguments as an object, found \[1\]"),
    ('{"name": "f", "arguments": "x"}', "wanted JSON"),
    ('{"name": "f", "arguments": {"a": NaN}}', "wanted JSON: no such constant as NaN"),
    ('{"name": "f", "arguments": {"a": 1e4300}}', "JSON: a number has more than 4300"),
    (f'{{"name": "f", "arguments": {{"a": {"9" * 4301}}}}}', "more than 4300 digits"),
    ('{"name": "f", "arguments": {"a": "\\ud800"}}', "a lone surrogate"),
    (f'{{"name": "f", "arguments": {DEEP}', "JSON"),
    (f'{{"name": "f", "arguments": {{"a": {"[" * 60}{"]" * 60}}}}}', "too deeply"),
]


@pytest.mark.parametrize("read", [one_object, objects])
@pytest.mark.parametrize(("text", "why"), BAD_OBJECTS)
def test_malformed_json_raises_a_short_error(read: Read, text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        read(text)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (objects, "print(1)"),
        (objects, "f.call(1)"),
        (objects, "f.call(a=b)"),
        (objects, "f.call(a=1 b)"),
        (list_or_named, "[]"),
        (list_or_named, "{}"),
        (list_or_named, "f[ARGS]"),
        (list_or_named, "f[ARGS][1]"),
        (list_or_named, "f[ARGS]{} x"),
        (list_or_named, '[{"name": "f"}'),
    ],
)
def test_forms_that_only_one_family_writes_are_checked(read: Read, text: str) -> None:
    with pytest.raises(ValueError, match="wanted"):
        read(text)


@pytest.mark.parametrize(
    "read",
    [
        *(one_object, objects, list_or_named, fenced_or_plain, coder),
        *(kimi_k3, hunyuan, solar),
    ],
)
@pytest.mark.parametrize(
    "text",
    [
        "f" + " " * 100_000,
        "<function=f>" + "<parameter=a>" * 50_000,
        "<function=f><parameter=a>" + "\n</parameter> x" * 50_000,
        "<function=f>" + "<parameter=a>\n</parameter>\n" * 20_000,
        "<｜tool▁call▁begin｜>" * 50_000,
        "<｜tool▁call▁begin｜>f<｜tool▁sep｜>g" + "```" * 50_000,
        "f[CALL_ID]a" + "\n" * 100_000,
        "a" * 100_000,
        "f.call(" + ") " * 50_000 + "x",
        "a.call" * 20_000,
        '{"name": "f", "arguments": {"a": ' * 10_000,
        k3_call() * 20_000 + "x" * 3_000_000,
        HUNYUAN.format("".join(map(HUNYUAN_ARGUMENT.format, range(30_000))) + "x"),
        SOLAR * 20_000 + "x",
    ],
    ids=range(14),
)
def test_parsing_hostile_text_takes_linear_time(read: Read, text: str) -> None:
    start = time.process_time()
    with pytest.raises(ValueError, match="JSON|wanted"):
        read(text)
    assert time.process_time() - start < 1


def test_every_parsed_call_is_valid_in_a_message() -> None:
    deepest: Any = {}
    for _ in range(45):
        deepest = {"a": deepest}
    (call,) = one_object(json.dumps({"name": "f", "arguments": deepest}))
    answer = llamacy.ToolCall("f", call.arguments, "1")
    message = {"role": "assistant", "tool_calls": [answer.as_message_part()]}
    assert checked_messages([message])[0]["tool_calls"][0]["function"] == {
        "name": "f",
        "arguments": deepest,
    }
    with pytest.raises(ValueError, match="too deeply"):
        one_object(json.dumps({"name": "f", "arguments": {"a": deepest}}))
