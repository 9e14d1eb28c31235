"""LlamaIndex's messages to llamacy's, and llamacy's results to LlamaIndex's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from llamacy import ArgumentError, ChatCompletion, Completion
from llamacy.integrations.messages import completed, tool_call_entry

_ROLES = {
    "developer": "system",
    "chatbot": "assistant",
    "model": "assistant",
    "function": "tool",
}


def to_dicts(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """Return LlamaIndex's messages as dicts for `llamacy.Model.chat`.

    Raises
    ------
    ArgumentError
        A message holds an image or another block that is not text.
    """
    return completed([_to_dict(i, message) for i, message in enumerate(messages)])


def _to_dict(index: int, message: ChatMessage) -> dict[str, Any]:
    role = message.role.value
    one: dict[str, Any] = {"role": _ROLES.get(role, role), "content": ""}
    texts, reasoning, calls = [], [], []
    for block in message.blocks:
        if isinstance(block, TextBlock):
            texts.append(block.text)
        elif isinstance(block, ThinkingBlock):
            reasoning.append(block.content or "")
        elif isinstance(block, ToolCallBlock):
            calls.append(
                tool_call_entry(block.tool_call_id, block.tool_name, block.tool_kwargs)
            )
        else:
            raise ArgumentError(
                f"messages[{index}]: wanted text, found a block of {block.block_type}"
            )
    one["content"] = "\n".join(texts)
    if any(reasoning):
        one["reasoning_content"] = "".join(reasoning)
    if calls:
        one["tool_calls"] = calls
    if one["role"] == "tool":
        for key in ("tool_call_id", "name"):
            if key in message.additional_kwargs:
                one[key] = message.additional_kwargs[key]
    return one


def to_response(answer: ChatCompletion, delta: str | None = None) -> ChatResponse:
    """Return an answer, as far as it is known, as a response of LlamaIndex.

    Parameters
    ----------
    answer : ChatCompletion
        The answer so far.
    delta : str, optional
        The text that is new in it, in a stream.
    """
    blocks: list[Any] = []
    if answer.reasoning:
        blocks.append(ThinkingBlock(content=answer.reasoning))
    blocks.append(TextBlock(text=answer.text))
    blocks += [
        ToolCallBlock(
            tool_call_id=call.id, tool_name=call.name, tool_kwargs=call.arguments
        )
        for call in answer.tool_calls
    ]
    return ChatResponse(
        message=ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks),
        delta=delta,
        raw=_facts(answer),
        additional_kwargs=_counts(answer),
    )


def to_completion(text: Completion, delta: str | None = None) -> CompletionResponse:
    """Return a continued text, as far as it is known, as a response of LlamaIndex."""
    return CompletionResponse(
        text=text.text, delta=delta, raw=_facts(text), additional_kwargs=_counts(text)
    )


def _counts(completion: Completion) -> dict[str, Any]:
    """Return the numbers of tokens under the names that LlamaIndex's counter reads."""
    usage = completion.usage
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }


def _facts(completion: Completion) -> dict[str, Any]:
    timings = completion.timings
    return {
        "finish_reason": completion.finish_reason,
        "usage": _counts(completion),
        "time_to_first_token": timings.time_to_first_token,
        "prompt_tokens_per_second": timings.prompt_tokens_per_second,
        "generation_tokens_per_second": timings.generation_tokens_per_second,
    }
