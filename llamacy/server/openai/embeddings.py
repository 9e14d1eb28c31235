"""`/v1/embeddings`: vectors of texts."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from llamacy.protocols.openai.embedding_request import embedding_request
from llamacy.protocols.openai.embeddings import embedding_response
from llamacy.server.embedding import embedded
from llamacy.server.responses import JSON
from llamacy.server.service import service_of


async def embeddings(request: Request) -> JSON:
    """Embed texts."""
    service = service_of(request)
    asked = embedding_request(await service.body(request))
    name, model = await service.model(request, asked.model)
    vectors = await embedded(request, (name, model), asked.texts, asked.options)

    def response() -> JSON:
        return JSON(embedding_response(vectors, name, asked.form))

    return await asyncio.to_thread(response)  # a million numbers take a while
