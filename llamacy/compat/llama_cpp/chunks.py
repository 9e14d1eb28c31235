"""Streams as iterators of OpenAI's chunks, which llama-cpp-python's calls return."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from llamacy.protocols.openai.chat import ChatResponse, CreateChatCompletionResponse
from llamacy.protocols.openai.completions import (
    CompletionResponse,
    CreateCompletionResponse,
)

if TYPE_CHECKING:
    from llamacy.chat.stream import ChatStream
    from llamacy.generation.streams import Stream


def completion_chunks(
    response: CompletionResponse, stream: Stream
) -> Iterator[CreateCompletionResponse]:
    """Yield a chunk for each piece of `stream`, and one that says why it ended."""
    with stream:
        for piece in stream:
            if chunk := response.chunk(piece):
                yield chunk
        yield response.last_chunk(stream.completion.finish_reason)


def chat_chunks(
    response: ChatResponse, stream: ChatStream
) -> Iterator[CreateChatCompletionResponse]:
    """Yield who speaks, a chunk for each piece of `stream`, and why it ended."""
    with stream:
        yield response.first_chunk()
        for piece in stream:
            yield response.chunk(piece)
        yield response.last_chunk(stream.completion.finish_reason)
