"""The endpoints as the application's description has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from llamacy.protocols.anthropic.request import message_request
from llamacy.protocols.ollama.embedding import embed_asked, embeddings_asked
from llamacy.protocols.ollama.request import (
    chat_asked,
    generate_asked,
    pull_asked,
    show_asked,
)
from llamacy.protocols.openai.chat import CreateChatCompletionResponse
from llamacy.protocols.openai.chat_request import chat_request
from llamacy.protocols.openai.completion_request import completion_request
from llamacy.protocols.openai.completions import CreateCompletionResponse
from llamacy.protocols.openai.embedding_request import embedding_request
from llamacy.protocols.openai.embeddings import CreateEmbeddingResponse
from llamacy.protocols.openai.reranking import rerank_request
from llamacy.protocols.openai.response_request import response_request
from llamacy.protocols.operating import detokenize_request, tokenize_request
from llamacy.server.openapi.schemas import OBJECT, TEXT, TEXTS, Schema

EVENTS: Final = "text/event-stream"
LINES: Final = "application/x-ndjson"

_PART: Final = {
    "type": "object",
    "properties": {"type": {"const": "text"}, "text": TEXT},
    "required": ["type", "text"],
}
_CONTENT: Final = {"anyOf": [TEXT, {"type": "array", "items": _PART}]}


def _messages(*roles: str) -> Schema:
    properties = {"role": {"enum": list(roles)}, "content": _CONTENT}
    item = {
        "type": "object",
        "properties": properties,
        "required": ["role", "content"],
    }
    return {"type": "array", "items": item, "minItems": 1}


def _function(key: str) -> Schema:
    return {
        "type": "object",
        "properties": {
            "name": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
            "description": TEXT,
            key: OBJECT,
        },
        "required": ["name", key],
    }


_TOOL: Final = {
    "type": "object",
    "properties": {"type": {"const": "function"}, "function": _function("parameters")},
    "required": ["type", "function"],
}
_TOOLS: Final = {"type": "array", "items": _TOOL}
_HELLO: Final = {"messages": [{"role": "user", "content": "Hello!"}]}


@dataclass(frozen=True, slots=True)
class Operation:
    """An endpoint.

    Attributes
    ----------
    api : {"openai", "anthropic", "ollama"}
        The API that its errors belong to.
    read : callable or None
        Reads the body of a request; None if there is none.
    example : dict
        A body with what is required alone.
    shapes : dict
        Schemas of fields that need more than a type.
    answer : type or None
        The typed dict of a response; None of other JSON.
    stream : str
        The media type of a stream; empty if there is none.
    text : str
        The media type of a response that is not JSON; empty if it is.
    """

    api: Literal["openai", "anthropic", "ollama"] = "openai"
    read: Callable[[Any], object] | None = None
    example: Mapping[str, Any] = field(default_factory=dict)
    shapes: Mapping[str, Schema] = field(default_factory=dict)
    answer: Any = None
    stream: str = ""
    text: str = ""


def _anthropic(read: Callable[[Any], object], **rest: Any) -> Operation:
    shapes = {
        "messages": _messages("user", "assistant"),
        "system": _CONTENT,
        "tools": {"type": "array", "items": _function("input_schema")},
    }
    return Operation("anthropic", read, shapes=shapes, **rest)


def _ollama(read: Callable[[Any], object], **rest: Any) -> Operation:
    shapes = {
        "messages": _messages("user", "assistant", "system"),
        "tools": _TOOLS,
        "input": {"anyOf": [TEXT, TEXTS]},
    }
    return Operation("ollama", read, shapes=shapes, **rest)


def _counted(body: object) -> object:
    return message_request(body, is_counted=True)


_CHAT: Final = Operation(
    read=chat_request,
    example=_HELLO,
    shapes={
        "messages": _messages("system", "developer", "user", "assistant"),
        "tools": _TOOLS,
    },
    answer=CreateChatCompletionResponse,
    stream=EVENTS,
)
_RERANK: Final = Operation(
    read=rerank_request,
    example={"query": "Who lives here?", "documents": ["A cat.", "A pond."]},
    shapes={"documents": {**TEXTS, "minItems": 1}},
)

OPERATIONS: Final[dict[tuple[str, str], Operation]] = {
    ("POST", "/v1/chat/completions"): _CHAT,
    ("POST", "/v1/completions"): Operation(
        read=completion_request,
        example={"prompt": "Once upon a time"},
        shapes={
            "prompt": {"anyOf": [TEXT, {**TEXTS, "minItems": 1}]},
            "logprobs": {"type": "integer", "minimum": 0, "maximum": 20},
        },
        answer=CreateCompletionResponse,
        stream=EVENTS,
    ),
    ("POST", "/v1/responses"): Operation(
        read=response_request,
        example={"input": "Hello!"},
        shapes={"include": TEXTS, "instructions": TEXT},
        stream=EVENTS,
    ),
    ("GET", "/v1/responses/{id}"): Operation(),
    ("DELETE", "/v1/responses/{id}"): Operation(),
    ("POST", "/v1/embeddings"): Operation(
        read=embedding_request,
        example={"input": "Once upon a time"},
        shapes={
            "input": {"anyOf": [TEXT, {**TEXTS, "minItems": 1}]},
            "encoding_format": {"enum": ["float", "base64"]},
        },
        answer=CreateEmbeddingResponse,
    ),
    ("POST", "/v1/rerank"): _RERANK,
    ("POST", "/v2/rerank"): _RERANK,
    ("GET", "/v1/models"): Operation(),
    ("GET", "/v1/models/{name}"): Operation(),
    ("POST", "/v1/messages"): _anthropic(
        message_request, example={**_HELLO, "max_tokens": 64}, stream=EVENTS
    ),
    ("POST", "/v1/messages/count_tokens"): _anthropic(_counted, example=_HELLO),
    ("POST", "/api/chat"): _ollama(chat_asked, example={"model": "demo"}, stream=LINES),
    ("POST", "/api/generate"): _ollama(
        generate_asked, example={"model": "demo"}, stream=LINES
    ),
    ("POST", "/api/embed"): _ollama(embed_asked, example={"model": "demo"}),
    ("POST", "/api/embeddings"): _ollama(embeddings_asked, example={"model": "demo"}),
    ("POST", "/api/show"): _ollama(show_asked, example={"model": "demo"}),
    ("POST", "/api/pull"): _ollama(pull_asked, example={"model": "demo"}, stream=LINES),
    ("GET", "/api/tags"): Operation("ollama"),
    ("GET", "/api/ps"): Operation("ollama"),
    ("GET", "/api/version"): Operation("ollama"),
    ("POST", "/tokenize"): Operation(read=tokenize_request, example={"content": "Hi"}),
    ("POST", "/detokenize"): Operation(
        read=detokenize_request,
        example={"tokens": [1, 2]},
        shapes={"tokens": {"type": "array", "items": {"type": "integer"}}},
    ),
    ("POST", "/apply-template"): Operation(
        read=chat_request, example=_HELLO, shapes=_CHAT.shapes
    ),
    ("GET", "/props"): Operation(),
    ("GET", "/metrics"): Operation(text="text/plain"),
    ("GET", "/health"): Operation(),
}
"""All endpoints by method and path."""
