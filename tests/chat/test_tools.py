"""Functions as tools: the schemas that templates get, and tool calls in answers."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import datetime
from typing import Any

import pytest

import llamacy
from tests.support.puppet import saying
from tests.support.tool_templates import (
    CODER,
    DEEPSEEK,
    HARMONY,
    HERMES,
    LLAMA_3,
    MISTRAL,
    TEMPLATES,
)

PARIS: Any = {"city": "Paris", "days": 2}
JSON = json.dumps(PARIS)
PROMPT = [{"role": "user", "content": "Is it warm there?"}]
# a tool call as each family's models write it
CALLS = {
    "hermes": f"<think>Hm.</think>\n\nI look.\n<tool_call>\n"
    f'{{"name": "weather", "arguments": {JSON}}}\n</tool_call>',
    "llama-3": f'{{"name": "weather", "parameters": {JSON}}}',
    "mistral": f'[TOOL_CALLS] [{{"name": "weather", "arguments": {JSON}}}]',
    "harmony": "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>"
    f"commentary to=functions.weather <|constrain|>json<|message|>{JSON}<|call|>",
    "coder": "<tool_call>\n<function=weather>\n<parameter=city>\nParis\n</parameter>\n"
    "<parameter=days>\n2\n</parameter>\n</function>\n</tool_call>",
    "deepseek": "<think>Hm.</think><｜tool▁calls▁begin｜><｜tool▁call▁begin｜>weather"
    f"<｜tool▁sep｜>{JSON}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
}
BROKEN = {
    "hermes": '<tool_call>{"name": "weather", </tool_call>',
    "llama-3": '<|python_tag|>{"name": "weather", "parameters": ',
    "mistral": "[TOOL_CALLS]weather[ARGS]Paris",
    "harmony": " to=functions.weather<|channel|>commentary<|message|>Paris",
    "coder": "<tool_call>\n<function=weather>\n<parameter=city>\nParis\n</tool_call>",
    "deepseek": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>weather<｜tool▁sep｜>Paris",
}
# how the call is written in the next prompt
WRITTEN = dict.fromkeys(CALLS, JSON) | {
    "coder": "<parameter=city>\nParis\n</parameter>\n<parameter=days>\n2\n</parameter>"
}


def weather(city: str, days: int = 1) -> str:
    """Say what the weather will be.

    Parameters
    ----------
    city : str
        Where.
    days : int
        How far ahead.
    """
    return f"{city}: {days} days of rain"


SCHEMA = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Say what the weather will be.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Where."},
                "days": {"type": "integer", "description": "How far ahead."},
            },
            "required": ["city"],
        },
        "return": {"type": "string"},
    },
}

families = pytest.mark.parametrize("family", TEMPLATES)


def shown(model: llamacy.Model, messages: Any, **options: Any) -> str:
    ids = model.chat_prompt(messages, **options)
    return model.tokenizer.decode(ids, skip_special=False)


def test_a_template_is_given_schemas(puppet: llamacy.Model) -> None:
    template = "{{ tools | tojson }}"

    def written(*tools: Any) -> Any:
        text = shown(puppet, PROMPT, chat_format=template, tools=tools)
        return json.loads(text.removeprefix("<s>"))

    assert written(weather) == [SCHEMA]
    assert written(SCHEMA) == [SCHEMA]
    assert written(SCHEMA["function"]) == [SCHEMA]
    assert len(written(weather, {"name": "time"})) == 2
    none = "{{ 'none' if tools is none }}"
    assert shown(puppet, PROMPT, chat_format=none, tools=[]).endswith("none")
    assert shown(puppet, PROMPT, chat_format=none).endswith("none")


@pytest.mark.parametrize(
    ("tools", "why"),
    [
        (5, "tools: wanted a list, found 5"),
        ([5], r"tools\[0\]: wanted a function or a JSON schema, found 5"),
        ([weather, {}], r"tools\[1\]: wanted the schema of a function, with its name"),
        ([{"type": "search"}], r"tools\[0\]: wanted the schema"),
        ([{"type": "function", "function": {"name": ""}}], r"tools\[0\]"),
        (
            [{"name": "f", "parameters": {"x": {1}}}],
            r"tools\[0\]\['parameters'\]\['x'\]",
        ),
        ([weather, SCHEMA], "tools: wanted different names, found 'weather' twice"),
        ([lambda: 5], "tools: wanted a function with a name"),
    ],
)
def test_invalid_tools_are_refused(puppet: llamacy.Model, tools: Any, why: str) -> None:
    with pytest.raises(llamacy.ArgumentError, match=why):
        puppet.chat_prompt(PROMPT, tools=tools)


@pytest.mark.parametrize("template", ["chatml", "{{ xml_tools }}{{ messages }}"])
def test_a_template_without_tools_is_refused(
    puppet: llamacy.Model, template: str
) -> None:
    with pytest.raises(llamacy.ArgumentError, match="tools: wanted a template that"):
        puppet.chat_prompt(PROMPT, tools=[weather], chat_format=template)


@families
def test_a_model_calls_a_tool_and_is_sent_the_result(
    puppet: llamacy.Model, family: str
) -> None:
    options: Any = {"chat_format": TEMPLATES[family], "tools": [weather]}
    answer = puppet.chat(PROMPT, **options, **saying(puppet, CALLS[family]))
    (call,) = answer.tool_calls
    assert (call.name, call.arguments) == ("weather", PARIS)
    assert (answer.finish_reason, answer.bad_calls) == ("tool_calls", ())
    assert answer.text == ("I look." if family == "hermes" else "")
    assert answer.message.tool_calls == [call]
    assert answer.message["tool_calls"] == [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": "weather", "arguments": PARIS},
        }
    ]
    result = call.result(weather(**call.arguments))
    assert result == {
        "role": "tool",
        "tool_call_id": call.id,
        "name": "weather",
        "content": "Paris: 2 days of rain",
    }

    talk = [*PROMPT, json.loads(json.dumps(answer.message)), result]
    text = shown(puppet, talk, **options)
    assert WRITTEN[family] in text
    assert "Paris: 2 days of rain" in text
    assert ("Hm." in text) == (family in ("hermes", "harmony"))
    # with arguments as a string of JSON, as in OpenAI's API
    openai = json.loads(json.dumps(talk))
    openai[1]["tool_calls"][0]["function"]["arguments"] = JSON
    assert shown(puppet, openai, **options) == text
    said = saying(
        puppet, "<|channel|>final<|message|>No." if family == "harmony" else "No."
    )
    last = puppet.chat(talk, **options, **said)
    assert (last.text, last.finish_reason, last.tool_calls) == ("No.", "stop", ())


@families
def test_a_call_is_streamed_once_and_whole(puppet: llamacy.Model, family: str) -> None:
    options: Any = {"chat_format": TEMPLATES[family], "tools": [weather]}
    # each token is one character, so marks arrive in pieces
    with puppet.stream_chat(
        PROMPT, **options, **saying(puppet, *CALLS[family])
    ) as stream:
        pieces = [piece for piece in stream]
    answer = stream.completion
    calls = [call for piece in pieces for call in piece.tool_calls]
    assert calls == list(answer.tool_calls)
    assert (calls[0].name, calls[0].arguments) == ("weather", PARIS)
    assert "".join(piece.text for piece in pieces) == answer.text
    assert answer.finish_reason == "tool_calls"
    assert [token for piece in pieces for token in piece.tokens] == answer.tokens
    first, *rest = [delta for piece in pieces for delta in piece.call_deltas]
    assert (first.name, first.id, first.index) == ("weather", calls[0].id, 0)
    assert "".join(delta.arguments for delta in (first, *rest)) == JSON
    # as they are written, where they are JSON
    assert len(rest) == 0 if family == "coder" else len(rest) > 10

    async def main() -> None:
        said = saying(puppet, CALLS[family])
        stream = puppet.astream_chat(PROMPT, **options, **said)
        pieces = [piece async for piece in stream]
        (call,) = (call for piece in pieces for call in piece.tool_calls)
        assert call == stream.completion.tool_calls[0]
        assert call.arguments == PARIS

    asyncio.run(main())


@families
def test_a_malformed_tool_call_stays_text_and_is_logged(
    puppet: llamacy.Model, family: str, caplog: pytest.LogCaptureFixture
) -> None:
    options: Any = {"chat_format": TEMPLATES[family], "tools": [weather]}
    text = BROKEN[family]
    answer = puppet.chat(PROMPT, **options, **saying(puppet, text))
    assert (answer.text, answer.tool_calls, answer.finish_reason) == (text, (), "stop")
    (why,) = answer.bad_calls
    assert "wanted" in why
    assert caplog.messages == [f"a tool call could not be parsed: {why}"]
    with puppet.stream_chat(PROMPT, **options, **saying(puppet, text)) as stream:
        assert "".join(piece.text for piece in stream) == text
    assert stream.completion.bad_calls == answer.bad_calls
    assert len(caplog.messages) == 2


@pytest.mark.parametrize("template", [HERMES, LLAMA_3, MISTRAL, CODER, DEEPSEEK])
def test_without_tools_a_tool_call_is_plain_text(
    puppet: llamacy.Model, template: str
) -> None:
    call = '{"name": "weather", "parameters": {}}'
    answer = puppet.chat(PROMPT, chat_format=template, **saying(puppet, call))
    assert (answer.text, answer.tool_calls) == (call, ())


def test_a_call_of_a_tool_that_was_not_given_is_text(puppet: llamacy.Model) -> None:
    said = saying(puppet, CALLS["harmony"])
    answer = puppet.chat(PROMPT, chat_format=HARMONY, **said)
    assert answer.tool_calls == ()
    assert "to=functions.weather" in answer.text
    assert "wanted one of the tools that were given" in answer.bad_calls[0]
    text = '<tool_call>{"name": "time", "arguments": {}}</tool_call>'
    answer = puppet.chat(PROMPT, tools=[weather], **saying(puppet, text))
    assert (answer.text, answer.tool_calls, answer.finish_reason) == (text, (), "stop")


def test_an_unfinished_tool_call_is_malformed_and_held_back_by_a_stream(
    puppet: llamacy.Model,
) -> None:
    text = CALLS["hermes"].partition("</think>\n\n")[2]
    said = saying(puppet, *text) | {"max_tokens": 30}
    answer = puppet.chat(PROMPT, tools=[weather], **said)
    assert (answer.text, answer.finish_reason) == (text[:30], "length")
    assert answer.tool_calls == ()
    assert len(answer.bad_calls) == 1
    with puppet.stream_chat(PROMPT, tools=[weather], **saying(puppet, *text)) as stream:
        shown = "".join(next(stream).text for _ in range(9))
        assert shown == "I look."
        assert stream.completion.text == shown


def test_the_result_of_a_tool_call_is_text_or_json() -> None:
    call = llamacy.ToolCall("f", {}, "1")
    assert call.result("text")["content"] == "text"
    assert call.result({"é": [1, None]})["content"] == '{"é": [1, null]}'
    assert call.result(None)["content"] == "null"
    with pytest.raises(TypeError, match="not JSON serializable"):
        call.result({1, 2})


@pytest.mark.parametrize(
    ("calls", "why"),
    [
        (5, r"messages\[0\]\['tool_calls'\]: wanted a list, found 5"),
        ([5], r"\['tool_calls'\]\[0\]: wanted a dict with a function's name"),
        ([{"function": {"arguments": {}}}], r"\[0\]: wanted a dict with"),
        ([{"function": {"name": "f", "arguments": "{"}}], "wanted arguments as JSON: "),
        ([{"function": {"name": "f", "arguments": "[1]"}}], "as a JSON object, found"),
    ],
)
def test_invalid_tool_calls_in_messages_are_refused(
    puppet: llamacy.Model, calls: Any, why: str
) -> None:
    message = {"role": "assistant", "content": "", "tool_calls": calls}
    with pytest.raises(llamacy.ArgumentError, match=why):
        puppet.chat_prompt([message])


@pytest.mark.parametrize("function", [{"name": "f"}, {"name": "f", "arguments": ""}])
def test_missing_arguments_of_a_tool_call_are_an_empty_dict(
    puppet: llamacy.Model, function: dict[str, str]
) -> None:
    template = "{{ messages[0].tool_calls[0].function.arguments | tojson }}"
    message = {"role": "assistant", "tool_calls": [{"function": function}]}
    assert shown(puppet, [message], chat_format=template).endswith("{}")


def test_valid_tool_calls_are_not_logged(
    puppet: llamacy.Model, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "llamacy")
    puppet.chat(PROMPT, tools=[weather], **saying(puppet, CALLS["hermes"]))
    assert {message.partition(":")[0] for message in caplog.messages} == {"pass"}


def test_a_template_may_take_functions_as_json(puppet: llamacy.Model) -> None:
    """As Firefunction's does; the caller's own variables come first."""
    template = "functools[ {{ functions }} | {{ datetime }} | {{ messages[0].content }}"

    def written(**options: Any) -> list[str]:
        ids = puppet.chat_prompt("Warm?", chat_format=template, **options)
        return puppet.tokenizer.decode(ids).split(" | ")

    functions, today, _ = written(tools=[weather])
    (function,) = json.loads(functions.partition("[ ")[2])
    assert function["name"] == "weather"
    assert list(function["parameters"]["properties"]) == ["city", "days"]
    assert datetime.strptime(today, "%Y-%m-%d").year > 2025
    assert written()[0] == "functools[ []"
    assert written(template_arguments={"datetime": "Monday"})[1] == "Monday"
