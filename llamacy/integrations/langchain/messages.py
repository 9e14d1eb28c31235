"""LangChain's messages to llamacy's, and llamacy's results to LangChain's."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    convert_to_openai_messages,
)
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import (
    invalid_tool_call,
    tool_call,
    tool_call_chunk,
)

from llamacy import ChatCompletion, ChatPiece, Completion, Usage
from llamacy.integrations.messages import completed, tool_call_entry


def to_dicts(messages: Iterable[BaseMessage]) -> list[dict[str, Any]]:
    """Return LangChain's messages as dicts for `llamacy.Model.chat`."""
    dicts: list[dict[str, Any]] = []
    for message in messages:
        if isinstance(message, AIMessage):
            dicts.append(_answer(message))
        else:
            dicts += convert_to_openai_messages([message])
    return completed(dicts)


def _answer(message: AIMessage) -> dict[str, Any]:
    """Return a model's answer with its reasoning, which other roles do not have."""
    answer: dict[str, Any] = {"role": "assistant", "content": str(message.text)}
    blocks = message.content_blocks
    reasoning = "".join(
        block.get("reasoning", "") for block in blocks if block["type"] == "reasoning"
    )
    if reasoning:
        answer["reasoning_content"] = reasoning
    if message.tool_calls:
        answer["tool_calls"] = [
            tool_call_entry(call["id"], call["name"], call["args"])
            for call in message.tool_calls
        ]
    return answer


def to_message(completion: ChatCompletion, model_name: str) -> AIMessage:
    """Return a whole answer as a message of LangChain."""
    return AIMessage(
        content=completion.text,
        additional_kwargs=_reasoning(completion.reasoning),
        tool_calls=[
            tool_call(name=call.name, args=call.arguments, id=call.id)
            for call in completion.tool_calls
        ],
        invalid_tool_calls=[
            invalid_tool_call(error=why) for why in completion.bad_calls
        ],
        usage_metadata=usage_metadata(completion.usage),
        response_metadata=response_metadata(completion, model_name),
    )


def to_chunk(piece: ChatPiece, n_calls: int) -> AIMessageChunk:
    """Return a piece of an answer as a chunk; `n_calls` tool calls came before it."""
    return AIMessageChunk(
        content=piece.text,
        additional_kwargs=_reasoning(piece.reasoning),
        tool_call_chunks=[
            tool_call_chunk(
                name=call.name,
                args=json.dumps(call.arguments, ensure_ascii=False),
                id=call.id,
                index=index,
            )
            for index, call in enumerate(piece.tool_calls, n_calls)
        ],
        response_metadata={"model_provider": "llamacy"},
    )


def last_chunk(completion: ChatCompletion, model_name: str) -> AIMessageChunk:
    """Return the chunk that ends an answer: without text, with counts and metadata."""
    return AIMessageChunk(
        content="",
        usage_metadata=usage_metadata(completion.usage),
        response_metadata=response_metadata(completion, model_name),
        chunk_position="last",
    )


def usage_metadata(usage: Usage) -> UsageMetadata:
    """Return the numbers of tokens under LangChain's names."""
    return UsageMetadata(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        total_tokens=usage.total_tokens,
        input_token_details={"cache_read": usage.cached_tokens},
    )


def response_metadata(completion: Completion, model_name: str) -> dict[str, Any]:
    """Return what else is known of a result: its end, its speed, its log-probs."""
    timings = completion.timings
    metadata: dict[str, Any] = {
        "model_name": model_name,
        "model_provider": "llamacy",
        "finish_reason": completion.finish_reason,
        "time_to_first_token": timings.time_to_first_token,
        "prompt_tokens_per_second": timings.prompt_tokens_per_second,
        "generation_tokens_per_second": timings.generation_tokens_per_second,
    }
    if completion.logprobs is not None:
        metadata["logprobs"] = [
            {"token": one.token, "logprob": one.logprob, "top": list(one.top)}
            for one in completion.logprobs
        ]
    return metadata


def _reasoning(text: str) -> dict[str, Any]:
    return {"reasoning_content": text} if text else {}
