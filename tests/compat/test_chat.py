"""Conversations return the dicts of llama-cpp-python."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import llamacy
from llamacy.compat.llama_cpp import Llama
from tests.support import random_model
from tests.support.puppet import saying
from tests.support.tool_templates import HERMES

MESSAGES: Any = [
    {"role": "system", "content": "be"},
    {"role": "user", "content": "bada"},
]
GREEDY: Any = {"max_tokens": 6, "temperature": 0.0, "logit_bias": {2: -1e9}}


def test_an_answer_has_the_fields_of_llama_cpp_python(
    babble: Llama, babble_model: Path
) -> None:
    response = babble.create_chat_completion(MESSAGES, **GREEDY)
    with llamacy.load(babble_model) as model:
        wanted = model.chat(MESSAGES, **GREEDY)
    assert re.fullmatch(r"chatcmpl-[0-9a-f-]{36}", response["id"])
    assert {**response, "id": "", "created": 0} == {
        "id": "",
        "object": "chat.completion",
        "created": 0,
        "model": str(babble_model),
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": wanted.text},
                "logprobs": None,
                "finish_reason": "length",
            }
        ],
        "usage": {
            "prompt_tokens": wanted.usage.prompt_tokens,
            "completion_tokens": 6,
            "total_tokens": wanted.usage.prompt_tokens + 6,
        },
    }
    assert babble.create_chat_completion(MESSAGES, **GREEDY, model="m")["model"] == "m"


def test_an_answer_of_the_assistants_is_not_continued(
    babble: Llama, babble_model: Path
) -> None:
    talk = [*MESSAGES, {"role": "assistant", "content": "ba"}]
    found = babble.create_chat_completion(talk, **GREEDY)["choices"][0]["message"]
    with llamacy.load(babble_model) as model:
        new: Any = {"template_arguments": {"continue_final_message": False}}
        assert found["content"] == model.chat(talk, **GREEDY, **new).text
        assert found["content"] != model.chat(talk, **GREEDY).text


def test_variables_of_the_template_have_the_names_of_openai(
    babble_model: Path,
) -> None:
    template = "{{ a }}{{ reasoning_effort }}"
    given: Any = {"chat_template_kwargs": {"a": "bada"}, "reasoning_effort": "low"}
    with Llama(str(babble_model), chat_format=template, verbose=False) as caller:
        answer = caller.create_chat_completion(MESSAGES, **GREEDY, **given)
        n_prompt = len(caller.tokenize(b"badalow"))
        assert answer["usage"]["prompt_tokens"] == n_prompt
        bad: Any = {"chat_template_kwargs": ["a"]}
        with pytest.raises(llamacy.ArgumentError, match="wanted a dict"):
            caller.create_chat_completion(MESSAGES, **GREEDY, **bad)


def test_a_stream_yields_the_chunks_of_llama_cpp_python(babble: Llama) -> None:
    whole = babble.create_chat_completion(MESSAGES, **GREEDY)
    chunks = list(babble.create_chat_completion(MESSAGES, stream=True, **GREEDY))
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    first, *others, last = (chunk["choices"][0] for chunk in chunks)
    assert (first["delta"], first["finish_reason"]) == ({"role": "assistant"}, None)
    assert (last["delta"], last["finish_reason"]) == ({}, "length")
    text = "".join(choice["delta"]["content"] or "" for choice in others)
    assert text == whole["choices"][0]["message"]["content"]


def test_logprobs_of_an_answer(babble: Llama) -> None:
    response = babble.create_chat_completion(
        MESSAGES, logprobs=True, top_logprobs=2, **GREEDY
    )
    logprobs = response["choices"][0]["logprobs"]
    assert logprobs is not None
    for entry in logprobs["content"]:
        likeliest, second = entry["top_logprobs"]
        assert likeliest["token"] == entry["token"]
        assert second["logprob"] <= entry["logprob"] <= 0
        assert bytes(entry["bytes"]).decode() == entry["token"]


def test_a_chat_format_can_be_chosen_by_name(base_model: Path) -> None:
    with Llama(str(base_model), chat_format="mistral-instruct") as llm:
        assert llm.create_chat_completion(MESSAGES, **GREEDY)["choices"]
    with Llama(str(base_model)) as llm:
        with pytest.raises(llamacy.ChatTemplateError, match="alpaca, "):
            llm.create_chat_completion(MESSAGES, **GREEDY)
    with pytest.raises(llamacy.ArgumentError, match="^chat_format: wanted one of alp"):
        Llama(str(base_model), chat_format="nothing")


def test_unsupported_options_are_refused_by_name(babble: Llama) -> None:
    with pytest.raises(llamacy.UnsupportedCallError, match="^functions: wanted None"):
        babble.create_chat_completion(MESSAGES, functions=[{}])
    unused: Any = {"tools": None, "tool_choice": "auto", "response_format": None}
    assert babble.create_chat_completion(MESSAGES, **unused, **GREEDY)


WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Say it.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CALL = '{"name": "weather", "arguments": {"city": "K\u00f6ln"}}'


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Llama]:
    path = tmp_path_factory.mktemp("models") / "model.gguf"
    random_model.write(str(path), chat_template=HERMES, n_ctx=2048)
    with Llama(str(path), n_ctx=0) as llm:
        yield llm


def says(llm: Llama, text: str) -> Any:
    told = saying(llm._model, text)
    return {"logits_processor": told["logits_processors"], "temperature": 0.0}


def test_tool_calls_have_the_fields_of_openai(caller: Llama) -> None:
    text = f"<think>Hm.</think><tool_call>{CALL}</tool_call>"
    messages: Any = [{"role": "user", "content": "bada"}]
    options: Any = {"tools": [WEATHER], "tool_choice": "auto"}
    response = caller.create_chat_completion(messages, **options, **says(caller, text))
    choice = response["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    message: Any = choice["message"]
    (call,) = message["tool_calls"]
    assert {**call, "id": ""} == {
        "id": "",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city": "K\u00f6ln"}'},
    }
    assert message["content"] is None
    assert message["reasoning_content"] == "Hm."
    result = {"role": "tool", "tool_call_id": call["id"], "content": "rain"}
    again = caller.create_chat_completion(
        [*messages, message, result], **options, **says(caller, "Rain.")
    )
    assert again["choices"][0]["message"] == {"role": "assistant", "content": "Rain."}

    said = says(caller, f"I look. {text[18:]}")
    chunks = list(
        caller.create_chat_completion(messages, stream=True, **options, **said)
    )
    deltas: list[Any] = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert "".join(delta.get("content") or "" for delta in deltas) == "I look."
    first, *rest = (one for delta in deltas for one in delta.get("tool_calls", ()))
    assert (first["index"], first["function"]["name"]) == (0, "weather")
    told = [one["function"]["arguments"] for one in (first, *rest)]
    assert "".join(told) == call["function"]["arguments"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_each_kind_of_tool_choice(caller: Llama) -> None:
    text = f"<tool_call>{CALL}</tool_call>"
    options: Any = {"tools": [WEATHER], "tool_choice": "none"}
    response = caller.create_chat_completion(
        [{"role": "user", "content": "bada"}], **options, **says(caller, text)
    )
    assert response["choices"][0]["message"]["content"] == text
    for choice in ("sing", {"type": "function"}):
        with pytest.raises(llamacy.ArgumentError, match="^tool_choice: wanted one of"):
            caller.create_chat_completion(MESSAGES, tools=[WEATHER], tool_choice=choice)
    with pytest.raises(llamacy.ArgumentError, match=r"^tools\[0\]: wanted the schema"):
        caller.create_chat_completion(MESSAGES, tools=[{"type": "function"}])


def test_a_call_can_be_required_and_an_answer_can_follow_a_schema(
    caller: Llama,
) -> None:
    pytest.importorskip("llguidance")
    city = {"properties": {"city": {"enum": ["Rome", "Oslo"]}}, "required": ["city"]}
    tool: Any = {"name": "weather", "description": "Say it.", "parameters": city}
    named = {"type": "function", "function": {"name": "weather"}}
    for choice in ("required", named):
        response = caller.create_chat_completion(
            MESSAGES,
            tools=[{"type": "function", "function": tool}],
            tool_choice=choice,
            max_tokens=400,
            seed=1,
        )
        call = response["choices"][0]["message"]["tool_calls"][0]["function"]
        assert call["name"] == "weather"
        assert json.loads(call["arguments"])["city"] in ("Rome", "Oslo")
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}}
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    response = caller.create_chat_completion(
        MESSAGES, response_format=form, max_tokens=40, seed=1
    )
    text = response["choices"][0]["message"]["content"]
    assert json.loads(text or "") in ({}, {"ok": True}, {"ok": False})


@pytest.mark.parametrize("messages", [[], [MESSAGES], ["bada"]])
@pytest.mark.parametrize("stream", [False, True])
def test_several_conversations_are_not_one(
    babble: Llama, messages: Any, stream: bool
) -> None:
    call: Any = babble.create_chat_completion
    with pytest.raises(llamacy.ArgumentError, match="^messages"):
        call(messages, stream=stream)
