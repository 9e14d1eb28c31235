"""What models write between the marks of calls."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

import llamacy
from llamacy.chat.messages import checked_messages
from llamacy.chat.reply.call_texts import list_or_named, objects, one_object
from llamacy.chat.reply.parts import Call

Read = Callable[[str], list[Call]]
PARIS: Any = {"city": "Paris", "days": [1, {"a": None}]}
WRITTEN = json.dumps(PARIS)


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
def test_calls(read: Read, text: str, calls: list[Call]) -> None:
    assert read(text) == calls


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
    ('{"name": ""}', "wanted the name of a tool"),
    ('{"name": "f", "arguments": [1]}', r"wanted arguments as an object, found \[1\]"),
    ('{"name": "f", "arguments": "x"}', "wanted JSON"),
    ('{"name": "f", "arguments": {"a": NaN}}', "wanted JSON: no such constant as NaN"),
    ('{"name": "f", "arguments": {"a": 1e999}}', "JSON compliant"),
    ('{"name": "f", "arguments": {"a": "\\ud800"}}', "half of a surrogate pair"),
    (f'{{"name": "f", "arguments": {DEEP}', "JSON"),
    (f'{{"name": "f", "arguments": {{"a": {"[" * 60}{"]" * 60}}}}}', "too deep"),
]


@pytest.mark.parametrize("read", [one_object, objects])
@pytest.mark.parametrize(("text", "why"), BAD_OBJECTS)
def test_what_is_no_call(read: Read, text: str, why: str) -> None:
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
        (list_or_named, "f[ARGS]{} {}"),
        (list_or_named, '[{"name": "f"}'),
    ],
)
def test_what_is_no_call_in_one_way_of_writing(read: Read, text: str) -> None:
    with pytest.raises(ValueError, match="wanted"):
        read(text)


@pytest.mark.parametrize("read", [one_object, objects, list_or_named])
@pytest.mark.parametrize(
    "text",
    [
        "f" + " " * 100_000,
        "f[CALL_ID]a" + "\n" * 100_000,
        "a" * 100_000,
        "f.call(" + ") " * 50_000 + "x",
        "a.call" * 20_000,
        '{"name": "f", "arguments": {"a": ' * 10_000,
    ],
    ids=range(6),
)
def test_reading_takes_no_time(read: Read, text: str) -> None:
    start = time.process_time()
    with pytest.raises(ValueError, match="JSON|wanted"):
        read(text)
    assert time.process_time() - start < 1


def test_what_is_read_can_be_given_back() -> None:
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
    with pytest.raises(ValueError, match="too deep"):
        one_object(json.dumps({"name": "f", "arguments": {"a": deepest}}))
