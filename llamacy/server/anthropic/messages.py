"""`/v1/messages`: answers as blocks, whole or as events; and their prompts' tokens."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from starlette.requests import Request

from llamacy.chat.results import ChatCompletion
from llamacy.chat.stream import AsyncChatStream
from llamacy.generation.cancelling import CancelToken
from llamacy.model.model import Model
from llamacy.protocols.anthropic.request import MessageRequest, message_request
from llamacy.protocols.anthropic.responses import MessageResponse, found_stop
from llamacy.results import FinishReason
from llamacy.server.calls import first_call, until_first_call
from llamacy.server.capacity import check_capacity
from llamacy.server.lengths import check_length, texts_of
from llamacy.server.reading_progress import ReadingProgress
from llamacy.server.responses import JSON, Events, event
from llamacy.server.service import service_of
from llamacy.server.shapes import anthropic_error


async def messages(request: Request) -> JSON | Events:
    """Answer a conversation."""
    service = service_of(request)
    asked = message_request(await service.body(request))
    name, model = await service.writer(request, asked.model)
    check_capacity(model)
    await check_length(model, texts_of(asked.messages))
    options = {**asked.prompt_options, **asked.options}
    response = MessageResponse(name, asked.shows_thinking)
    if asked.stream:
        progress = ReadingProgress()
        stream = model.astream_chat(asked.messages, progress=progress, **options)
        await stream.start()
        events = _events(request, (name, model), asked, response, stream)
        return Events(events, [stream], progress.said, service.quiet_seconds)

    async def begin(cancel: CancelToken) -> list[list[ChatCompletion]]:
        return [[await model.achat(asked.messages, cancel=cancel, **options)]]

    ((answer,),) = await service.whole(request, name, begin)
    if asked.has_one_call:
        answer = first_call(answer)
    return JSON(response.whole(answer, _stop_of(model, asked, answer)))


async def count_tokens(request: Request) -> JSON:
    """Count the tokens of a conversation's prompt."""
    service = service_of(request)
    asked = message_request(await service.body(request), is_counted=True)
    _, model = await service.writer(request, asked.model)
    n_tokens = await service.aside(
        lambda: model.count_tokens(asked.messages, **asked.prompt_options)
    )
    return JSON({"input_tokens": n_tokens})


async def _events(
    request: Request,
    named: tuple[str, Model],
    asked: MessageRequest,
    response: MessageResponse,
    stream: AsyncChatStream,
) -> AsyncGenerator[bytes, None]:
    service, (name, model) = service_of(request), named
    reason: FinishReason | None = None
    try:
        yield _named(response.begin(stream.completion.usage))
        async for piece in until_first_call(stream, asked.has_one_call):
            for one in response.push(piece):
                yield _named(one)
            if asked.has_one_call and piece.tool_calls:
                reason = "tool_calls"
    except Exception as error:
        yield event(anthropic_error(service.refusal(error)), "error")
        return
    finally:  # also if the client has hung up
        answer = stream.completion
        service.note(request.scope, name, [[answer]])
    stop = _stop_of(model, asked, answer)
    for one in response.end(answer.usage, reason or answer.finish_reason, stop):
        yield _named(one)


def _stop_of(model: Model, asked: MessageRequest, answer: ChatCompletion) -> str | None:
    """Return the stop sequence that ended an answer."""
    if not asked.stops or answer.finish_reason != "stop":
        return None
    return found_stop(model.detokenize(answer.tokens), asked.stops)


def _named(one: dict[str, Any]) -> bytes:
    return event(one, one["type"])
