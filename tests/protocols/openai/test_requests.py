"""Requests of OpenAI's clients as arguments of llamacy's calls."""

from __future__ import annotations

import math
from typing import Any

import pytest

from llamacy.errors import ArgumentError
from llamacy.protocols.fields import field_at_fault
from llamacy.protocols.openai.chat_request import ChatRequest, chat_request
from llamacy.protocols.openai.completion_request import (
    CompletionRequest,
    completion_request,
)

MESSAGES = [{"role": "user", "content": "Hello!"}]
TOOL = {"type": "function", "function": {"name": "f"}}
STRICT = {"type": "function", "function": {"name": "g", "strict": True}}
JSON = {"type": "json_object"}


def chat(**fields: Any) -> ChatRequest:
    return chat_request({"model": "m", "messages": MESSAGES} | fields)


def complete(**fields: Any) -> CompletionRequest:
    return completion_request({"model": "m", "prompt": "Once"} | fields)


def test_a_plain_request_leaves_all_options_to_the_model() -> None:
    asked = chat(temperature=None, stop=None, n=None, tools=None)
    assert (asked.model, asked.messages, asked.options) == ("m", MESSAGES, {})
    assert (asked.n, asked.has_one_call) == (1, False)
    assert not asked.streaming.is_on
    assert complete().options == {"max_tokens": 16}


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({"temperature": 0, "top_p": 0.5}, {"temperature": 0, "top_p": 0.5}),
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"max_completion_tokens": 5}, {"max_tokens": 5}),
        ({"max_completion_tokens": 5, "max_tokens": 5}, {"max_tokens": 5}),
        ({"max_tokens": -1}, {}),
        ({"stop": "x"}, {"stop": ("x",)}),
        ({"stop": ["x", "y"]}, {"stop": ("x", "y")}),
        ({"stop": []}, {"stop": ()}),
        ({"seed": 3}, {"seed": 3}),
        ({"seed": -1}, {"seed": 2**64 - 1}),
        ({"logit_bias": {"5": -100}}, {"logit_bias": {5: -100}}),
        ({"logit_bias": {"5": False}}, {"logit_bias": {5: -math.inf}}),
        ({"logprobs": True}, {"logprobs": 0}),
        ({"logprobs": True, "top_logprobs": 3}, {"logprobs": 3}),
        ({"logprobs": False, "top_logprobs": 0}, {}),
        (
            {"min_p": 0.1, "repetition_penalty": 1.1},
            {"min_p": 0.1, "repeat_penalty": 1.1},
        ),
        ({"tools": [TOOL]}, {"tools": [TOOL]}),
        (
            {"tools": [TOOL], "tool_choice": "none"},
            {"tools": [TOOL], "tool_choice": "none"},
        ),
        ({"tool_choice": "none"}, {}),
        ({"tools": [STRICT]}, {"tools": [STRICT], "strict_tools": True}),
        ({"tools": [STRICT, TOOL]}, {"tools": [STRICT, TOOL]}),
        ({"response_format": JSON, "grammar": ""}, {"response_format": JSON}),
        ({"json_schema": {"type": "object"}}, {"json_schema": {"type": "object"}}),
        ({"tools": []}, {}),
        ({"reasoning_effort": "low"}, {"reasoning_effort": "low"}),
        (
            {"chat_template_kwargs": {"enable_thinking": False}},
            {"template_arguments": {"enable_thinking": False}},
        ),
        (
            {
                "user": "u",
                "store": True,
                "metadata": {},
                "parallel_tool_calls": True,
            },
            {},
        ),
    ],
)
def test_options_have_llamacys_names(
    fields: dict[str, Any], options: dict[str, Any]
) -> None:
    assert chat(**fields).options == options


def test_streams_are_described() -> None:
    asked = chat(stream=True, stream_options={"include_usage": True}).streaming
    assert (asked.is_on, asked.has_usage, asked.has_progress) == (True, True, False)


def test_each_of_several_texts_has_a_seed_of_its_own() -> None:
    seeds = [chat(seed=-1, n=3).options_of(index)["seed"] for index in range(3)]
    assert seeds == [2**64 - 1, 0, 1]
    assert chat(n=3).options_of(2) == {}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "Hello!"}, "messages"),
        ({"messages": ["Hello!"]}, "messages[0]"),
        ({"model": 3}, "model"),
        ({"n": 129}, "n"),
        ({"n": True}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 0}, "max_completion_tokens"),
        ({"max_tokens": 3, "max_completion_tokens": 4}, "max_completion_tokens"),
        ({"stop": ["x"] * 65}, "stop"),
        ({"stop": ""}, "stop"),
        ({"seed": 0.5}, "seed"),
        ({"logit_bias": [1]}, "logit_bias"),
        ({"logit_bias": {str(i): 1 for i in range(1025)}}, "logit_bias"),
        ({"logit_bias": {"-1": 1}}, "logit_bias"),
        ({"logit_bias": {"9" * 5000: 1}}, "logit_bias"),
        ({"logit_bias": {"1": "x"}}, "logit_bias"),
        ({"logprobs": 2}, "logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"stream_options": {"usage": True}}, "stream_options.usage"),
        ({"tools": {}}, "tools"),
        ({"guided_json": {}}, "guided_json"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"parallel_tool_calls": "no"}, "parallel_tool_calls"),
        ({"chat_template_kwargs": []}, "chat_template_kwargs"),
        ({"top_k": 2.5}, "top_k"),
        ({"logits_processors": []}, "logits_processors"),
        ({"chat_format": "chatml"}, "chat_format"),
        ({"progress": 1}, "progress"),
    ],
)
def test_errors_of_a_chat_begin_with_the_field(
    fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(ArgumentError) as caught:
        chat(**fields)
    assert field_at_fault(str(caught.value)) == field


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("Once", ["Once"]),
        (["Once", "Twice"], ["Once", "Twice"]),
        ([1, 2], [[1, 2]]),
        ([[1, 2], [3]], [[1, 2], [3]]),
        (["Once", [3]], ["Once", [3]]),
    ],
)
def test_prompts_are_texts_or_ids(prompt: Any, prompts: list[Any]) -> None:
    assert complete(prompt=prompt).prompts == prompts


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [[]]}, "prompt"),
        ({"prompt": [True]}, "prompt"),
        ({"prompt": {"a": 1}}, "prompt"),
        ({"suffix": "end"}, "suffix"),
        ({"best_of": 2}, "best_of"),
        ({"prompt": ["a"] * 65, "n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"max_completion_tokens": 3}, "max_completion_tokens"),
        ({"tools": [TOOL]}, "tools"),
    ],
)
def test_errors_of_a_completion_begin_with_the_field(
    fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(ArgumentError) as caught:
        complete(**fields)
    assert field_at_fault(str(caught.value)) == field


def test_scores_of_an_echoed_prompt_are_asked_for() -> None:
    options = complete(echo=True, logprobs=2, max_tokens=0).options
    assert options == {"max_tokens": 0, "logprobs": 2, "prompt_logprobs": 2}
