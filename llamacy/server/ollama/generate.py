"""`/api/generate`: a prompt that is answered, or continued if it is raw."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request

from llamacy.chat.formats import has_template
from llamacy.generation.cancelling import CancelToken
from llamacy.model.model import Model
from llamacy.model.prompt_ids import prompt_ids, token_bytes_of
from llamacy.protocols.ollama.request import Asked, generate_asked
from llamacy.protocols.ollama.responses import OllamaResponse
from llamacy.results import Completion
from llamacy.server.capacity import check_capacity
from llamacy.server.lengths import check_length
from llamacy.server.ollama.chat import answered
from llamacy.server.ollama.lines import known_name, streamed
from llamacy.server.responses import JSON, Events, made
from llamacy.server.service import service_of


async def generate(request: Request) -> JSON | Events:
    """Answer a prompt; continue it if it is raw, or the model has no template."""
    service = service_of(request)
    asked = generate_asked(await service.body(request))
    response = OllamaResponse(asked.model, "response", asked.shows_thinking)
    if not asked.is_empty:
        name = known_name(service.models, asked.model)
        name, model = await service.writer(request, name)
        if asked.is_raw or not has_template(model.metadata):
            return await _continued(request, asked, (name, model), response)
    return await answered(request, asked, response)


async def _continued(
    request: Request,
    asked: Asked,
    named: tuple[str, Model],
    response: OllamaResponse,
) -> JSON | Events:
    service, (name, model) = service_of(request), named
    response.spell(token_bytes_of(model))
    check_capacity(model)
    await check_length(model, [asked.prompt])
    ids = await asyncio.to_thread(prompt_ids, model, asked.prompt)
    options: dict[str, Any] = asked.options
    if asked.stream:
        stream = model.astream(ids, **options)
        parts = (
            response.part(piece.text, logprobs=piece.logprobs) async for piece in stream
        )
        return await streamed(request, name, response, stream, parts)

    async def begin(cancel: CancelToken) -> list[list[Completion]]:
        return [[await model.agenerate(ids, cancel=cancel, **options)]]

    ((text,),) = await service.whole(request, name, begin)

    def whole() -> JSON:
        part = response.part(text.text, logprobs=text.logprobs)
        return JSON(response.end(text, part))

    return await made(whole, [text])
