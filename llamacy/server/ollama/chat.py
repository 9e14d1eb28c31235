"""`/api/chat`: answers, line by line unless the client wants them whole."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from starlette.requests import Request

from llamacy.chat.results import ChatCompletion
from llamacy.chat.stream import AsyncChatStream
from llamacy.generation.cancelling import CancelToken
from llamacy.protocols.ollama.request import Asked, chat_asked
from llamacy.protocols.ollama.responses import OllamaResponse
from llamacy.server.lengths import check_length, texts_of
from llamacy.server.ollama.lines import (
    HEADERS,
    empty_line,
    failure,
    known_name,
    line,
)
from llamacy.server.prompt_ids import token_bytes_of
from llamacy.server.responses import JSON, Events
from llamacy.server.service import check_writes, service_of


async def chat(request: Request) -> JSON | Events:
    """Answer a conversation."""
    service = service_of(request)
    asked = chat_asked(await service.body(request))
    response = OllamaResponse(asked.model, "message", asked.shows_thinking)
    return await answered(request, asked, response)


async def answered(
    request: Request, asked: Asked, response: OllamaResponse
) -> JSON | Events:
    """Return the response of an answer to a conversation."""
    service = service_of(request)
    name = known_name(service.models, asked.model)
    if asked.is_empty and asked.unloads:
        service.models.unload(name)
        return JSON(response.nothing(unloads=True))
    name, model = await service.model(request, name)
    if asked.is_empty:
        return JSON(response.nothing(unloads=False))
    check_writes(name, model)
    response.spell(token_bytes_of(model))
    await check_length(model, texts_of(asked.messages))
    options: dict[str, Any] = {**asked.prompt_options, **asked.options}
    if asked.stream:
        stream = model.astream_chat(asked.messages, **options)
        await stream.start()
        lines = _lines(request, name, response, stream)
        quiet = empty_line(response.part)
        return Events(lines, [stream], quiet, service.quiet_seconds, HEADERS)

    async def begin(cancel: CancelToken) -> list[list[ChatCompletion]]:
        return [[await model.achat(asked.messages, cancel=cancel, **options)]]

    ((answer,),) = await service.whole(request, name, begin)
    part = response.part(
        answer.text, answer.reasoning, answer.tool_calls, answer.logprobs
    )
    return JSON(response.end(answer, part))


async def _lines(
    request: Request, name: str, response: OllamaResponse, stream: AsyncChatStream
) -> AsyncGenerator[bytes, None]:
    service = service_of(request)
    try:
        async for piece in stream:
            if piece.text or piece.reasoning or piece.tool_calls or piece.logprobs:
                yield line(
                    response.part(
                        piece.text, piece.reasoning, piece.tool_calls, piece.logprobs
                    )
                )
    except Exception as error:
        yield failure(service.refusal(error))
        return
    finally:  # also if the client has hung up
        answer = stream.completion
        service.note(request.scope, name, [[answer]])
    yield line(response.end(answer, response.part()))
