"""Answers as the dicts of OpenAI's chat completion API."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict

from llamacy.protocols.openai.common import (
    CompletionUsage,
    Head,
    OpenAIReason,
    finish_reason,
    usage,
)
from llamacy.protocols.openai.logprobs import entries

if TYPE_CHECKING:
    from llamacy.chat.results import (
        ChatCompletion,
        ChatPiece,
        ToolCall,
        ToolCallDelta,
    )
    from llamacy.results import FinishReason, TokenLogprob


class CalledFunction(TypedDict):
    """A function's name, and its arguments as JSON."""

    name: str
    arguments: str


class ToolCallDict(TypedDict):
    """A tool call."""

    id: str
    type: Literal["function"]
    function: CalledFunction


class FunctionDelta(TypedDict):
    """A function's name, in its first chunk alone, and more of the arguments."""

    name: NotRequired[str]
    arguments: str


class ToolCallDeltaDict(TypedDict):
    """A part of a tool call, with its index; id and type are in the first alone."""

    index: int
    id: NotRequired[str]
    type: NotRequired[Literal["function"]]
    function: FunctionDelta


class ChatMessage(TypedDict):
    """An answer, or in chunks a part of one."""

    role: NotRequired[Literal["assistant"]]
    content: NotRequired[str | None]
    reasoning_content: NotRequired[str]
    tool_calls: NotRequired[list[ToolCallDict] | list[ToolCallDeltaDict]]


class ChatLogprobs(TypedDict):
    """Log-probabilities of an answer's tokens, each with the likeliest in its place."""

    content: list[dict[str, Any]]


class ChatChoice(TypedDict):
    """An answer has a `message`, a chunk a `delta`."""

    index: int
    message: NotRequired[ChatMessage]
    delta: NotRequired[ChatMessage]
    logprobs: ChatLogprobs | None
    finish_reason: OpenAIReason | None


class CreateChatCompletionResponse(TypedDict):
    """A whole answer, or a chunk of one, which has no `usage`."""

    id: str
    object: Literal["chat.completion", "chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: NotRequired[CompletionUsage]


class ChatResponse:
    """Makes the dicts of one answer: the whole, or chunk after chunk.

    Parameters
    ----------
    head : Head
        Shared by all its dicts.
    token_bytes : callable
        Returns the bytes of a token id.
    index : int, default 0
        Its place among several answers to one conversation.
    """

    def __init__(
        self, head: Head, token_bytes: Callable[[int], bytes], index: int = 0
    ) -> None:
        self._head = head
        self._token_bytes = token_bytes
        self._index = index

    def whole(self, answer: ChatCompletion) -> CreateChatCompletionResponse:
        """Return the dict of a finished answer."""
        response = self._response(
            "chat.completion",
            "message",
            message(answer),
            answer.logprobs,
            answer.finish_reason,
        )
        response["usage"] = usage(answer.usage)
        return response

    def first_chunk(self) -> CreateChatCompletionResponse:
        """Return the chunk that says who speaks."""
        return self._chunk({"role": "assistant"})

    def chunk(self, piece: ChatPiece) -> CreateChatCompletionResponse:
        """Return the chunk of a piece."""
        delta: ChatMessage = {}
        if piece.text:
            delta["content"] = piece.text
        if piece.reasoning:
            delta["reasoning_content"] = piece.reasoning
        if piece.call_deltas:
            delta["tool_calls"] = [call_delta(one) for one in piece.call_deltas]
        return self._chunk(delta, piece.logprobs)

    def last_chunk(self, reason: FinishReason) -> CreateChatCompletionResponse:
        """Return the chunk that says why the answer ended."""
        return self._chunk({}, reason=reason)

    def _chunk(
        self,
        delta: ChatMessage,
        logprobs: list[TokenLogprob] | None = None,
        reason: FinishReason | None = None,
    ) -> CreateChatCompletionResponse:
        return self._response("chat.completion.chunk", "delta", delta, logprobs, reason)

    def _response(
        self,
        kind: Literal["chat.completion", "chat.completion.chunk"],
        place: Literal["message", "delta"],
        message: ChatMessage,
        logprobs: Iterable[TokenLogprob] | None,
        reason: FinishReason | None,
    ) -> CreateChatCompletionResponse:
        choice: ChatChoice = {
            "index": self._index,
            "logprobs": None,
            "finish_reason": finish_reason(reason),
        }
        choice[place] = message
        if logprobs is not None:
            choice["logprobs"] = {"content": entries(logprobs, self._token_bytes)}
        return {
            "id": self._head.id,
            "object": kind,
            "created": self._head.created,
            "model": self._head.model,
            "choices": [choice],
        }


def message(answer: ChatCompletion) -> ChatMessage:
    """Return an answer as a message.

    Unlike `ChatCompletion.message`, which a chat template reads, its tool calls have
    their arguments as JSON, and `content` is None beside them if there is no text.
    """
    made: ChatMessage = {"role": "assistant", "content": answer.text}
    if answer.reasoning:
        made["reasoning_content"] = answer.reasoning
    if answer.tool_calls:
        made["content"] = answer.text or None
        made["tool_calls"] = [tool_call(call) for call in answer.tool_calls]
    return made


def tool_call(call: ToolCall) -> ToolCallDict:
    """Return a tool call as a dict, its arguments as JSON.

    Examples
    --------
    >>> from llamacy.chat.results import ToolCall
    >>> tool_call(ToolCall("add", {"a": 1}, "k3f9a2000"))["function"]
    {'name': 'add', 'arguments': '{"a": 1}'}
    """
    arguments = json.dumps(call.arguments, ensure_ascii=False)
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    }


def call_delta(delta: ToolCallDelta) -> ToolCallDeltaDict:
    """Return a part of a tool call as a dict.

    Clients join the strings of all parts, so that none may come twice.

    Examples
    --------
    >>> from llamacy.chat.results import ToolCallDelta
    >>> call_delta(ToolCallDelta(0, '": 1'))
    {'index': 0, 'function': {'arguments': '": 1'}}
    """
    if not delta.name:
        return {"index": delta.index, "function": {"arguments": delta.arguments}}
    return {
        "index": delta.index,
        "id": delta.id,
        "type": "function",
        "function": {"name": delta.name, "arguments": delta.arguments},
    }
