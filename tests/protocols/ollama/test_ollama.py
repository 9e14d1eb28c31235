"""Ollama's requests and results as dicts."""

from __future__ import annotations

from typing import Any

import pytest

from llamacy.chat.results import ToolCall
from llamacy.errors import ArgumentError
from llamacy.protocols.fields import field_at_fault
from llamacy.protocols.ollama.request import (
    Asked,
    chat_asked,
    generate_asked,
    without_latest,
)
from llamacy.protocols.ollama.responses import OllamaResponse
from llamacy.results import Completion, Timings, Usage

MESSAGES = [{"role": "user", "content": "Hello!"}]


def chat(**fields: Any) -> Asked:
    return chat_asked({"model": "m", "messages": MESSAGES} | fields)


def test_answers_are_streamed_unless_the_client_wants_them_whole() -> None:
    assert chat().stream
    assert not chat(stream=False).stream


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"num_predict": 5}, {"max_tokens": 5}),
        ({"num_predict": -1}, {}),
        ({"num_predict": -2, "max_tokens": 3}, {}),
        ({"repeat_last_n": 9, "seed": -1}, {"penalty_last_n": 9, "seed": 2**64 - 1}),
        ({"num_ctx": 9, "num_gpu": 1, "nonsense": 3}, {}),
        ({"stop": ["a"], "top_k": 3}, {"stop": ("a",), "top_k": 3}),
    ],
)
def test_options_get_llamacys_names(
    options: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert chat(options=options).options == expected


def test_thinking_is_the_templates() -> None:
    assert chat().prompt_options == {}
    off = chat(think=False)
    assert off.prompt_options == {"template_arguments": {"enable_thinking": False}}
    assert not off.shows_thinking
    assert chat(think="high").prompt_options == {"reasoning_effort": "high"}


def test_a_tools_name_is_that_of_its_message() -> None:
    result = {"role": "tool", "tool_name": "add", "content": "3", "images": None}
    asked = chat(messages=[*MESSAGES, result])
    assert asked.messages[1] == {"role": "tool", "name": "add", "content": "3"}


def test_a_prompt_is_a_message_unless_it_is_raw() -> None:
    asked = generate_asked({"model": "m", "prompt": "Hello!", "system": "Be kind."})
    assert asked.messages == [{"role": "system", "content": "Be kind."}, *MESSAGES]
    raw = generate_asked({"model": "m", "prompt": "Hello!", "raw": True})
    assert (raw.is_raw, raw.prompt) == (True, "Hello!")
    empty = generate_asked({"model": "m", "keep_alive": 0})
    assert empty.is_empty and empty.unloads


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"model": None}, "model"),
        ({"messages": "Hello!"}, "messages"),
        ({"messages": ["Hello!"]}, "messages[0]"),
        ({"messages": [{"role": "user", "images": ["x"]}]}, "messages[0].images"),
        ({"options": []}, "options"),
        ({"options": {"temperature": "hot"}}, "temperature"),
        ({"options": {"num_predict": 0.5}}, "options.num_predict"),
        ({"format": "xml"}, "format"),
        ({"think": 3}, "think"),
        ({"stream": 1}, "stream"),
    ],
)
def test_errors_begin_with_the_field(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        chat(**fields)
    assert field_at_fault(str(caught.value)) == field


def test_the_usual_tag_is_no_part_of_a_name() -> None:
    assert without_latest("m:latest") == without_latest("m") == "m"
    assert without_latest("m:7b") == "m:7b"


def test_parts_and_ends_have_the_text_in_their_place() -> None:
    chatting = OllamaResponse("m", "message", shows_thinking=False)
    part = chatting.part("Hi", "Hm.", (ToolCall("add", {"a": 1}, "t1"),))
    call = {"id": "t1", "function": {"name": "add", "arguments": {"a": 1}}}
    message = {"role": "assistant", "content": "Hi", "tool_calls": [call]}
    assert (part["message"], part["done"]) == (message, False)
    writing = OllamaResponse("m", "response")
    assert writing.part("Hi", "Hm.")["thinking"] == "Hm."
    times = Timings(7, 1.5, 2, 0.25, 2.0, 0.5)
    text = Completion("Hi", [1], "length", Usage(7, 3), times)
    end = writing.end(text, writing.part("Hi"))
    assert (end["response"], end["done"], end["done_reason"]) == ("Hi", True, "length")
    assert (end["prompt_eval_count"], end["eval_count"]) == (7, 3)
    assert end["total_duration"] == 2_250_000_000
    assert end["prompt_eval_duration"] == 1_500_000_000
