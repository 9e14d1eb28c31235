"""Answers that may have only one tool call."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace

from llamacy.chat.results import ChatCompletion, ChatPiece, ToolCall, ToolCallDelta
from llamacy.chat.stream import AsyncChatStream


def first_call(answer: ChatCompletion) -> ChatCompletion:
    """Return an answer with its first tool call alone."""
    return replace(answer, tool_calls=answer.tool_calls[:1])


async def until_first_call(
    stream: AsyncChatStream, has_one_call: bool
) -> AsyncIterator[ChatPiece]:
    """Yield an answer's pieces; end it with its first tool call if `has_one_call`.

    A call that turns out to be malformed does not count.
    """
    call: ToolCallDelta | None = None  # all that was told of the last call
    async for piece in stream:
        if not has_one_call:
            yield piece
            continue
        deltas: list[ToolCallDelta] = []
        whole = piece.tool_calls[:1]
        for delta in piece.call_deltas:
            if call is None or delta.index != call.index:
                if call is not None and (known := _whole(call)):
                    whole = (known,)  # another call begins behind it
                    break
                call = delta
            else:
                call = replace(call, arguments=call.arguments + delta.arguments)
            deltas.append(delta)
        if whole:
            await stream.aclose()
        yield replace(piece, tool_calls=whole, call_deltas=tuple(deltas))
        if whole:
            return


def _whole(call: ToolCallDelta) -> ToolCall | None:
    """Return a call, if its arguments are complete."""
    try:
        return ToolCall(call.name, json.loads(call.arguments), call.id)
    except ValueError:
        return None
