"""`/api/generate`: a prompt that is answered, or continued if it is raw."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.types import Scope

from llamacy.chat.formats import has_template
from llamacy.generation.streams import AsyncStream
from llamacy.model.model import Model
from llamacy.protocols.ollama.request import Asked, generate_asked
from llamacy.protocols.ollama.responses import OllamaResponse
from llamacy.server.guard import note_tokens
from llamacy.server.leaving import unless_gone
from llamacy.server.ollama.chat import answered
from llamacy.server.ollama.lines import (
    HEADERS,
    asked_model,
    empty_line,
    failure,
    line,
)
from llamacy.server.prompt_ids import prompt_ids
from llamacy.server.responses import JSON, Events
from llamacy.server.service import service_of


async def generate(request: Request) -> JSON | Events:
    """Answer a prompt; continue it if it is raw, or the model has no template."""
    asked = generate_asked(await service_of(request).body(request))
    model = asked_model(service_of(request), asked)
    response = OllamaResponse(asked.model, "response", asked.shows_thinking)
    is_continued = asked.is_raw or not has_template(model.metadata)
    if asked.prompt and is_continued:
        return await _continued(request, asked, model, response)
    return await answered(request, replace(asked, prompt=""), model, response)


async def _continued(
    request: Request, asked: Asked, model: Model, response: OllamaResponse
) -> JSON | Events:
    ids = await asyncio.to_thread(prompt_ids, model, asked.prompt)
    options: dict[str, Any] = asked.options
    if asked.stream:
        stream = model.astream(ids, **options)
        await stream.start()
        lines = _lines(request.scope, response, stream)
        quiet = empty_line(response.part)
        seconds = service_of(request).quiet_seconds
        return Events(lines, [stream], quiet, seconds, HEADERS)
    text = await unless_gone(request.receive, model.agenerate(ids, **options))
    note_tokens(request.scope, text.usage)
    return JSON(response.end(text, response.part(text.text)))


async def _lines(
    scope: Scope, response: OllamaResponse, stream: AsyncStream
) -> AsyncGenerator[bytes, None]:
    try:
        async for piece in stream:
            yield line(response.part(piece.text))
    except Exception as error:
        yield failure(error)
        return
    note_tokens(scope, stream.completion.usage)
    yield line(response.end(stream.completion, response.part()))
