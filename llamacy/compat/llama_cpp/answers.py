"""Completions of a chat's prompt as answers, for formatters that scripts write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llamacy.protocols.openai.chat import (
    ChatChoice,
    ChatLogprobs,
    ChatMessage,
    CreateChatCompletionResponse,
)
from llamacy.protocols.openai.completions import (
    CompletionLogprobs,
    CreateCompletionResponse,
)


def answer(completion: CreateCompletionResponse) -> CreateChatCompletionResponse:
    """Return a completion as an answer."""
    message: ChatMessage = {
        "role": "assistant",
        "content": completion["choices"][0]["text"],
    }
    response = _response(completion, {"message": message})
    response["object"] = "chat.completion"
    response["usage"] = completion["usage"]
    return response


def answer_chunks(
    chunks: Iterator[CreateCompletionResponse],
) -> Iterator[CreateChatCompletionResponse]:
    """Yield who speaks, then each chunk of a completion as one of an answer."""
    speaks: ChatMessage | None = {"role": "assistant"}
    for chunk in chunks:
        if speaks is not None:
            first = _response(chunk, {"delta": speaks})
            first["choices"][0]["logprobs"] = None
            first["choices"][0]["finish_reason"] = None
            yield first
            speaks = None
        text = chunk["choices"][0]["text"]
        delta: ChatMessage = {"content": text} if text else {}
        yield _response(chunk, {"delta": delta})


def _response(
    completion: CreateCompletionResponse, content: dict[str, ChatMessage]
) -> CreateChatCompletionResponse:
    (chosen,) = completion["choices"]
    choice: Any = {
        "index": 0,
        **content,
        "logprobs": _logprobs(chosen["logprobs"]),
        "finish_reason": chosen["finish_reason"],
    }
    choices: list[ChatChoice] = [choice]
    return {
        "id": f"chat{completion['id']}",
        "object": "chat.completion.chunk",
        "created": completion["created"],
        "model": completion["model"],
        "choices": choices,
    }


def _logprobs(logprobs: CompletionLogprobs | None) -> ChatLogprobs | None:
    if logprobs is None:
        return None
    lists = (logprobs[key] for key in ("tokens", "token_logprobs", "top_logprobs"))
    return {
        "content": [
            {
                **_named(token, logprob),
                "top_logprobs": [_named(*each) for each in (top or {}).items()],
            }
            for token, logprob, top in zip(*lists, strict=True)
        ]
    }


def _named(token: str, logprob: float | None) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}
