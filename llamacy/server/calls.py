"""Answers that may have only one tool call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from llamacy.chat.results import ChatCompletion, ChatPiece
from llamacy.chat.stream import AsyncChatStream


def first_call(answer: ChatCompletion) -> ChatCompletion:
    """Return an answer with its first tool call alone."""
    return replace(answer, tool_calls=answer.tool_calls[:1])


async def until_first_call(
    stream: AsyncChatStream, has_one_call: bool
) -> AsyncIterator[ChatPiece]:
    """Yield an answer's pieces; end it with its first tool call if `has_one_call`."""
    async for piece in stream:
        if has_one_call and piece.tool_calls:
            await stream.aclose()
            yield replace(piece, tool_calls=piece.tool_calls[:1])
            return
        yield piece
