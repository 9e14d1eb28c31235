"""`/api/chat`: answers, line by line unless the client wants them whole."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from llamacy.chat.results import ChatCompletion, ChatPiece
from llamacy.generation.cancelling import CancelToken
from llamacy.model.prompt_ids import token_bytes_of
from llamacy.protocols.ollama.request import Asked, chat_asked
from llamacy.protocols.ollama.responses import OllamaResponse
from llamacy.server.capacity import check_capacity
from llamacy.server.lengths import check_length, texts_of
from llamacy.server.ollama.lines import known_name, streamed
from llamacy.server.responses import JSON, Events, made
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
    check_capacity(model)
    response.spell(token_bytes_of(model))
    await check_length(model, texts_of(asked.messages))
    options: dict[str, Any] = {**asked.prompt_options, **asked.options}

    def part(said: ChatPiece | ChatCompletion) -> dict[str, Any]:
        return response.part(said.text, said.reasoning, said.tool_calls, said.logprobs)

    if asked.stream:
        stream = model.astream_chat(asked.messages, **options)
        parts = (
            part(piece)
            async for piece in stream
            if piece.text or piece.reasoning or piece.tool_calls or piece.logprobs
        )
        return await streamed(request, name, response, stream, parts)

    async def begin(cancel: CancelToken) -> list[list[ChatCompletion]]:
        return [[await model.achat(asked.messages, cancel=cancel, **options)]]

    ((answer,),) = await service.whole(request, name, begin)
    return await made(lambda: JSON(response.end(answer, part(answer))), [answer])
