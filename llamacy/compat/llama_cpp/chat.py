"""Conversations: what llama-cpp-python takes, and the dicts of OpenAI's chat API."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict

from llamacy.chat.formats import TemplateSource
from llamacy.compat.llama_cpp.arguments import Arguments, SamplingArguments
from llamacy.compat.llama_cpp.responses import CompletionUsage, OpenAIReason
from llamacy.errors import ArgumentError

if TYPE_CHECKING:
    from llamacy.chat.results import ChatCompletion, ToolCall
    from llamacy.chat.stream import ChatStream
    from llamacy.results import FinishReason, TokenLogprob

# llama-cpp-python's names of formats that llamacy calls otherwise
_NAMES = {"mistral-instruct": "mistral", "qwen": "chatml", "phi-3": "phi3"}


class ChatArguments(SamplingArguments, total=False):
    """What an answer takes besides its messages."""

    max_tokens: int | None
    temperature: float
    stop: str | list[str] | None
    seed: int | None
    model: str | None
    logit_bias: Mapping[int, float] | Mapping[str, float] | None
    logprobs: bool | None
    top_logprobs: int | None
    tools: list[dict[str, Any]] | None
    tool_choice: object | None
    functions: object | None
    function_call: object | None
    response_format: object | None


# what is there instead, or would be needed
_UNUSED = {
    "functions": "tools takes its place",
    "function_call": "tool_choice takes its place",
    "response_format": "llamacy has no grammars",
}


class CalledFunction(TypedDict):
    """A function's name, and its arguments as JSON."""

    name: str
    arguments: str


class ToolCallDict(TypedDict):
    """A call of a tool; in chunks with its place among the others."""

    index: NotRequired[int]
    id: str
    type: Literal["function"]
    function: CalledFunction


class ChatMessage(TypedDict):
    """An answer, or in chunks a part of one."""

    role: NotRequired[Literal["assistant"]]
    content: NotRequired[str | None]
    reasoning_content: NotRequired[str]
    tool_calls: NotRequired[list[ToolCallDict]]


class ChatLogprobs(TypedDict):
    """Likelihoods of an answer's tokens, with the likeliest there."""

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


def known_format(chat_format: str | None) -> str | None:
    """Return llamacy's name of a format.

    Raises
    ------
    ArgumentError : there is no such format.
    """
    if chat_format is None:
        return None
    name = _NAMES.get(chat_format, chat_format)
    TemplateSource({}, "").find(name)
    return name


def chat_arguments(
    arguments: ChatArguments,
) -> tuple[Arguments, list[dict[str, Any]] | None]:
    """Return them as those of a completion, and the tools.

    Raises
    ------
    ArgumentError : one asks for what llamacy does not have.
    """
    given: dict[str, Any] = {"temperature": 0.2, "max_tokens": None, **arguments}
    for name, why in _UNUSED.items():
        value = given.pop(name, None)
        if value not in (None, [], "none", "auto", {"type": "text"}):
            raise ArgumentError(f"{name}: wanted None, as {why}")
    tools, choice = given.pop("tools", None), given.pop("tool_choice", None)
    if choice not in (None, "auto", "none"):
        raise ArgumentError(
            f"tool_choice: wanted 'auto' or 'none', as llamacy has no grammars, "
            f"found {choice!r}"
        )
    if choice == "none":
        tools = None
    n_top = given.pop("top_logprobs", None) or 0
    given["logprobs"] = n_top if given.get("logprobs") else None
    return Arguments(**given), tools


class ChatResponder:
    """Makes the dicts of one answer, which share an id.

    Parameters
    ----------
    model : name to give.
    token_text : text of a token.
    """

    def __init__(self, model: str, token_text: Callable[[int], str]) -> None:
        self._id = f"chatcmpl-{uuid.uuid4()}"
        self._created = int(time.time())
        self._model = model
        self._token_text = token_text

    def whole(self, answer: ChatCompletion) -> CreateChatCompletionResponse:
        """Return the dict of a finished answer."""
        response = self._response(
            "chat.completion",
            "message",
            {"role": "assistant", **_said(answer)},
            answer.logprobs,
            answer.finish_reason,
        )
        response["usage"] = {
            "prompt_tokens": answer.usage.prompt_tokens,
            "completion_tokens": answer.usage.completion_tokens,
            "total_tokens": answer.usage.total_tokens,
        }
        return response

    def chunks(self, stream: ChatStream) -> Iterator[CreateChatCompletionResponse]:
        """Yield who speaks, each piece of `stream`, and why it ended."""
        n_calls = 0
        with stream:
            yield self._chunk({"role": "assistant"})
            for piece in stream:
                delta: ChatMessage = {}
                if piece.text:
                    delta["content"] = piece.text
                if piece.reasoning:
                    delta["reasoning_content"] = piece.reasoning
                if piece.tool_calls:
                    delta["tool_calls"] = [
                        {"index": i, **_call(call)}
                        for i, call in enumerate(piece.tool_calls, n_calls)
                    ]
                    n_calls += len(piece.tool_calls)
                yield self._chunk(delta, piece.logprobs)
            yield self._chunk({}, reason=stream.completion.finish_reason)

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
            "index": 0,
            "logprobs": None,
            "finish_reason": "stop" if reason == "cancelled" else reason,
        }
        choice[place] = message
        if logprobs is not None:
            choice["logprobs"] = {"content": [self._entry(one) for one in logprobs]}
        return {
            "id": self._id,
            "object": kind,
            "created": self._created,
            "model": self._model,
            "choices": [choice],
        }

    def _entry(self, entry: TokenLogprob) -> dict[str, Any]:
        top = [self._named(*each) for each in entry.top]
        return {**self._named(entry.token, entry.logprob), "top_logprobs": top}

    def _named(self, token: int, logprob: float) -> dict[str, Any]:
        text = self._token_text(token)
        return {"token": text, "logprob": logprob, "bytes": list(text.encode())}


def _said(answer: ChatCompletion) -> ChatMessage:
    """Return what an answer's message says; no text beside calls is None."""
    said: ChatMessage = {"content": answer.text}
    if answer.reasoning:
        said["reasoning_content"] = answer.reasoning
    if answer.tool_calls:
        said["content"] = answer.text or None
        said["tool_calls"] = [_call(call) for call in answer.tool_calls]
    return said


def _call(call: ToolCall) -> ToolCallDict:
    arguments = json.dumps(call.arguments, ensure_ascii=False)
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    }
