"""Anthropic's requests and results as dicts."""

from __future__ import annotations

from typing import Any

import pytest

from llamacy.chat.results import ChatCompletion, ChatPiece, ToolCall, ToolCallDelta
from llamacy.errors import ArgumentError
from llamacy.protocols.anthropic.blocks import written_messages, written_system
from llamacy.protocols.anthropic.request import message_request
from llamacy.protocols.anthropic.responses import MessageResponse, found_stop
from llamacy.protocols.fields import field_at_fault
from llamacy.results import Timings, Usage

TEXT = {"type": "text", "text": "Hello!"}
USE = {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": [TEXT]}
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "x"}
NO_TIMINGS = Timings(0, 0.0, 0, 0.0, 0.0)
CALL = ToolCall("add", {"a": "ü"}, "t1")


def request(**fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "Hello!"}]
    return {"model": "m", "max_tokens": 5, "messages": messages} | fields


def test_blocks_become_messages_calls_and_results() -> None:
    written = written_messages(
        [
            {"role": "user", "content": [TEXT, TEXT]},
            {"role": "assistant", "content": [THOUGHT, TEXT, USE]},
            {"role": "user", "content": [TEXT, RESULT]},
        ]
    )
    assert [message["role"] for message in written] == [
        "user",
        "assistant",
        "tool",
        "user",
    ]
    assert written[0]["content"] == [TEXT, TEXT]
    assert written[1]["reasoning_content"] == "Hm."
    assert written[1]["tool_calls"][0]["function"]["arguments"] == {"a": 1}
    assert written[2] == {"role": "tool", "tool_call_id": "t1", "content": "Hello!"}


def test_the_systems_blocks_are_one_message_without_those_for_bills() -> None:
    assert written_system(None) == written_system([]) == []
    billing = {"type": "text", "text": "x-anthropic-billing-header: cch=1"}
    assert written_system([billing]) == []
    assert written_system([billing, TEXT, TEXT]) == [
        {"role": "system", "content": "Hello!\n\nHello!"}
    ]


def test_thinking_is_off_unless_it_is_asked_for() -> None:
    asked = message_request(request())
    assert asked.prompt_options == {"template_arguments": {"enable_thinking": False}}
    thinking = {"type": "enabled", "budget_tokens": 1024}
    assert message_request(request(thinking=thinking)).shows_thinking


def test_tokens_are_counted_without_a_limit() -> None:
    body = {"messages": [{"role": "user", "content": "Hello!"}]}
    assert message_request(body, is_counted=True).options == {}
    with pytest.raises(ArgumentError, match="max_tokens: wanted"):
        message_request(body)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": ""}]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": [USE]}]}, "messages[0].content[0]"),
        ({"system": 3}, "system"),
        ({"system": [{"type": "image"}]}, "system[0]"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stop_sequences": [3]}, "stop_sequences"),
        ({"tools": {}}, "tools"),
        ({"tools": [3]}, "tools[0]"),
        ({"tool_choice": {"type": "loud"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"thinking": {"type": "loud"}}, "thinking.type"),
        (
            {"output_config": {"format": {"type": "json_schema"}}},
            "output_config.format",
        ),
        ({"mcp_servers": [{}]}, "mcp_servers"),
    ],
)
def test_errors_begin_with_the_field(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        message_request(request(**fields))
    assert field_at_fault(str(caught.value)) == field


def test_spaces_between_blocks_are_no_block() -> None:
    response = MessageResponse("m", shows_thinking=True)
    pieces = [
        ChatPiece("", [], reasoning="Hm."),
        ChatPiece("\n", []),
        ChatPiece("\nHello", []),
        ChatPiece("!\n", []),
        ChatPiece("\n", [], call_deltas=(ToolCallDelta(0, '{"a": ', "add", "1"),)),
        ChatPiece("", [], call_deltas=(ToolCallDelta(0, '"ü"}'),)),
        ChatPiece("\n", []),
    ]
    events = [event for piece in pieces for event in response.push(piece)]
    events += response.end(Usage(7, 3, 5), "tool_calls", None)
    begun = [one for one in events if one["type"] == "content_block_start"]
    assert [(one["index"], one["content_block"]["type"]) for one in begun] == [
        (0, "thinking"),
        (1, "text"),
        (2, "tool_use"),
    ]
    ended = [one["index"] for one in events if one["type"] == "content_block_stop"]
    assert ended == [0, 1, 2]
    deltas = [one["delta"] for one in events if one["type"] == "content_block_delta"]
    texts = [delta["text"] for delta in deltas if delta["type"] == "text_delta"]
    assert "".join(texts) == "\n\nHello!\n\n"
    parts = [one["partial_json"] for one in deltas if "partial_json" in one]
    assert parts == ['{"a": ', '"ü"}']
    delta, stop = events[-2:]
    assert delta["delta"]["stop_reason"] == "tool_use"
    assert delta["usage"]["input_tokens"] == 2
    assert stop == {"type": "message_stop"}


def test_a_whole_answer_has_the_same_blocks() -> None:
    answer = ChatCompletion(
        *("\n", [1], "tool_calls", Usage(7, 3), NO_TIMINGS),
        reasoning="Hm.",
        tool_calls=(CALL,),
    )
    message = MessageResponse("m", shows_thinking=True).whole(answer, None)
    assert [block["type"] for block in message["content"]] == ["thinking", "tool_use"]
    hidden = MessageResponse("m", shows_thinking=False).whole(answer, None)
    assert [block["type"] for block in hidden["content"]] == ["tool_use"]


def test_the_stop_sequence_that_comes_first_is_found() -> None:
    assert found_stop("a b c", ["c", "b"]) == "b"
    assert found_stop("a", ["b"]) is None
