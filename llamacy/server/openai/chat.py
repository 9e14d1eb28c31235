"""`/v1/chat/completions`: answers, whole or in chunks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final

from starlette.requests import Request

from llamacy.chat.results import ChatCompletion
from llamacy.chat.stream import AsyncChatStream
from llamacy.generation.cancelling import CancelToken
from llamacy.model.model import Model
from llamacy.model.prompt_ids import token_bytes_of
from llamacy.protocols.openai.chat import ChatResponse
from llamacy.protocols.openai.chat_request import ChatRequest, chat_request
from llamacy.protocols.openai.common import Head, detailed, total
from llamacy.server.calls import first_call, until_first_call
from llamacy.server.capacity import check_capacity
from llamacy.server.joining import all_of, joined, start_all
from llamacy.server.lengths import check_length, texts_of
from llamacy.server.openai.chunks import DONE, Progress, failure, usage_chunk
from llamacy.server.responses import JSON, Events, event, made
from llamacy.server.service import service_of

_CHUNK: Final = "chat.completion.chunk"


async def chat(request: Request) -> JSON | Events:
    """Answer a conversation."""
    service = service_of(request)
    asked = chat_request(await service.body(request))
    name, model = await service.writer(request, asked.model)
    check_capacity(model, asked.n)
    await check_length(model, texts_of(asked.messages))
    head = Head.new("chatcmpl", name)
    if asked.streaming.is_on:
        return await _stream(request, model, head, asked)
    (answers,) = await service.whole(
        request, name, lambda cancel: _answers(model, asked, cancel)
    )
    usage = detailed(total([[answer.usage for answer in answers]]))
    return await made(
        lambda: JSON({**_whole(model, head, answers), "usage": usage}), answers
    )


async def _answers(
    model: Model, asked: ChatRequest, cancel: CancelToken
) -> list[list[ChatCompletion]]:
    answers = await all_of(
        model.achat(asked.messages, cancel=cancel, **asked.options_of(index))
        for index in range(asked.n)
    )
    return [[first_call(one) for one in answers] if asked.has_one_call else answers]


def _whole(
    model: Model, head: Head, answers: Sequence[ChatCompletion]
) -> dict[str, Any]:
    """Return the response of finished answers to one conversation."""
    token_bytes = token_bytes_of(model)
    responses = [
        ChatResponse(head, token_bytes, index).whole(answer)
        for index, answer in enumerate(answers)
    ]
    choices = [choice for response in responses for choice in response["choices"]]
    return {**responses[0], "choices": choices}


async def _stream(
    request: Request, model: Model, head: Head, asked: ChatRequest
) -> Events:
    """Begin the answers; errors of the request are raised before anything is sent."""
    service = service_of(request)
    progress = Progress(asked.n, head, _CHUNK, asked.streaming.has_progress)
    streams = [
        model.astream_chat(
            asked.messages, progress=progress.of(index), **asked.options_of(index)
        )
        for index in range(asked.n)
    ]
    await start_all(streams)
    events = _chunks(request, model, head, asked, streams)
    return Events(
        events, streams, progress.said, service.quiet_seconds_of(asked.streaming)
    )


async def _chunks(
    request: Request,
    model: Model,
    head: Head,
    asked: ChatRequest,
    streams: Sequence[AsyncChatStream],
) -> AsyncGenerator[bytes, None]:
    service, token_bytes = service_of(request), token_bytes_of(model)
    responses = [
        ChatResponse(head, token_bytes, index) for index in range(len(streams))
    ]
    called: set[int] = set()  # answers that end with their first tool call
    pieces = [until_first_call(stream, asked.has_one_call) for stream in streams]
    try:
        for response in responses:
            yield event(response.first_chunk())
        async for index, piece in joined(pieces):
            if piece is None:
                reason = streams[index].completion.finish_reason
                reason = "tool_calls" if index in called else reason
                yield event(responses[index].last_chunk(reason))
                continue
            if asked.has_one_call and piece.tool_calls:
                called.add(index)
            yield event(responses[index].chunk(piece))
    except Exception as error:
        yield failure(service.refusal(error))
        return
    finally:  # also if the client has hung up
        ended = [stream.completion for stream in streams]
        usage = service.note(request.scope, head.model, [ended])
    if asked.streaming.has_usage:
        yield event(usage_chunk(head, _CHUNK, detailed(usage)))
    yield DONE
