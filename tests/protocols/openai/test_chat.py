"""Answers as OpenAI's chat completion API gives them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from llamacy.chat.results import ChatCompletion, ChatPiece, ToolCall, ToolCallDelta
from llamacy.protocols.openai.chat import ChatResponse, message
from llamacy.protocols.openai.common import Head
from llamacy.results import Timings, TokenLogprob, Usage

HEAD = Head("chatcmpl-1", 1_800_000_000, "tiny")
TEXTS = {1: b"4", 2: "é".encode(), 3: b"\xc3"}
NO_TIMINGS = Timings(0, 0.0, 0, 0.0, 0.0)
ANSWER = ChatCompletion("4é", [1, 2], "stop", Usage(7, 2), NO_TIMINGS)
CALLS = (ToolCall("add", {"a": "ü"}, "id1"), ToolCall("sub", {}, "id2"))


def response() -> ChatResponse:
    return ChatResponse(HEAD, TEXTS.__getitem__)


def test_a_whole_answer() -> None:
    assert response().whole(ANSWER) == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_800_000_000,
        "model": "tiny",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "4é"},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
    }


def test_a_message_with_tool_calls_has_no_content_but_arguments_as_json() -> None:
    made = message(replace(ANSWER, text="", reasoning="Sum.", tool_calls=CALLS))
    assert made["content"] is None
    assert made["reasoning_content"] == "Sum."
    function = made["tool_calls"][0]["function"]
    assert function == {"name": "add", "arguments": '{"a": "ü"}'}
    assert json.loads(function["arguments"]) == CALLS[0].arguments


def test_chunks_say_who_speaks_then_what_then_why_it_ended() -> None:
    made = response()
    chunks = [
        made.first_chunk(),
        made.chunk(ChatPiece("", [1], None, "Sum.")),
        made.chunk(ChatPiece("4", [1])),
        made.last_chunk("cancelled"),
    ]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert {chunk["id"] for chunk in chunks} == {"chatcmpl-1"}
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant"},
        {"reasoning_content": "Sum."},
        {"content": "4"},
        {},
    ]
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert reasons == [None, None, None, "stop"]


def test_a_streamed_call_has_its_name_in_the_first_chunk_alone() -> None:
    deltas = [
        ToolCallDelta(0, '{"a', "add", "id1"),
        ToolCallDelta(0, '": 1}'),
        ToolCallDelta(1, "{}", "sub", "id2"),
    ]
    made = response()
    calls: list[Any] = []
    for delta in deltas:
        chunk = made.chunk(ChatPiece("", [], call_deltas=(delta,)))
        calls += chunk["choices"][0]["delta"]["tool_calls"]
    first, second, third = calls
    assert second == {"index": 0, "function": {"arguments": '": 1}'}}
    function = {"name": "add", "arguments": '{"a'}
    assert first == {"index": 0, "id": "id1", "type": "function", "function": function}
    assert (third["index"], third["id"]) == (1, "id2")


def test_logprobs_come_with_text_and_bytes() -> None:
    scored = TokenLogprob(2, -0.5, ((2, -0.5), (1, -1.0)))
    logprobs = response().whole(replace(ANSWER, logprobs=[scored]))["choices"][0][
        "logprobs"
    ]
    second = {"token": "é", "logprob": -0.5, "bytes": [0xC3, 0xA9]}
    first = {"token": "4", "logprob": -1.0, "bytes": [0x34]}
    assert logprobs == {"content": [{**second, "top_logprobs": [second, first]}]}


def test_bytes_of_a_token_within_a_character_are_its_own() -> None:
    scored = TokenLogprob(3, -0.5)
    made = response().whole(replace(ANSWER, logprobs=[scored]))
    logprobs = made["choices"][0]["logprobs"]
    assert logprobs is not None
    (entry,) = logprobs["content"]
    assert (entry["token"], entry["bytes"]) == ("", [0xC3])
