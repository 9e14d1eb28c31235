"""llm's messages and tools to llamacy's, and llamacy's pieces to llm's events."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import llm
from llm.parts import (
    ReasoningPart,
    StreamEvent,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

from llamacy import ChatCompletion, ChatPiece, Completion, Piece
from llamacy.integrations.messages import tool_call_entry


def to_dicts(messages: Iterable[Any]) -> list[dict[str, Any]]:
    """Return llm's messages as dicts for `llamacy.Model.chat`."""
    return [one for message in messages for one in _to_dicts(message)]


def _to_dicts(message: Any) -> Iterator[dict[str, Any]]:
    parts = message.parts
    for part in parts:
        if isinstance(part, ToolResultPart):
            yield {
                "role": "tool",
                "tool_call_id": part.tool_call_id,
                "name": part.name,
                "content": part.output,
            }
    if message.role == "tool":
        return
    one: dict[str, Any] = {"role": message.role, "content": _text(parts, TextPart)}
    if reasoning := _text(parts, ReasoningPart):
        one["reasoning_content"] = reasoning
    calls = [part for part in parts if isinstance(part, ToolCallPart)]
    if calls:
        one["tool_calls"] = [
            tool_call_entry(call.tool_call_id, call.name, call.arguments)
            for call in calls
        ]
    yield one


def _text(parts: Iterable[Any], kind: Any) -> str:
    return "".join(part.text for part in parts if isinstance(part, kind))


def to_schemas(tools: Iterable[Any]) -> list[dict[str, Any]]:
    """Return llm's tools as schemas for `llamacy.Model.chat`."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description or "",
                "parameters": tool.input_schema,
            },
        }
        for tool in tools
    ]


def events(piece: Piece) -> Iterator[StreamEvent]:
    """Yield a piece of a text, or of an answer, as llm's events."""
    if isinstance(piece, ChatPiece) and piece.reasoning:
        yield StreamEvent(type="reasoning", chunk=piece.reasoning)
    if piece.text:
        yield StreamEvent(type="text", chunk=piece.text)
    for call in piece.tool_calls if isinstance(piece, ChatPiece) else ():
        yield StreamEvent(type="tool_call_name", chunk=call.name, tool_call_id=call.id)
        arguments = json.dumps(call.arguments, ensure_ascii=False)
        yield StreamEvent(type="tool_call_args", chunk=arguments, tool_call_id=call.id)


def finish(response: Any, completion: Completion) -> None:
    """Tell `llm` the tool calls of an answer, its numbers of tokens, and its end."""
    calls = completion.tool_calls if isinstance(completion, ChatCompletion) else ()
    for call in calls:
        response.add_tool_call(
            llm.ToolCall(tool_call_id=call.id, name=call.name, arguments=call.arguments)
        )
    usage, timings = completion.usage, completion.timings
    response.set_usage(
        input=usage.prompt_tokens,
        output=usage.completion_tokens,
        details={"cached_tokens": usage.cached_tokens},
    )
    response.response_json = {
        "finish_reason": completion.finish_reason,
        "time_to_first_token": timings.time_to_first_token,
        "prompt_tokens_per_second": timings.prompt_tokens_per_second,
        "generation_tokens_per_second": timings.generation_tokens_per_second,
    }
