"""`/api/embed` and `/api/embeddings`: vectors of texts."""

from __future__ import annotations

import asyncio
import time

from starlette.requests import Request

from llamacy.generation.embedding.vectors import Embeddings
from llamacy.protocols.ollama.embedding import (
    EmbeddingAsked,
    embed_asked,
    embed_response,
    embeddings_asked,
    embeddings_response,
)
from llamacy.server.embedding import embedded
from llamacy.server.ollama.lines import known_name
from llamacy.server.responses import JSON
from llamacy.server.service import service_of


async def embed(request: Request) -> JSON:
    """Embed texts."""
    began = time.perf_counter()
    asked = embed_asked(await service_of(request).body(request))
    vectors = await _vectors(request, asked)

    def response() -> JSON:
        seconds = time.perf_counter() - began
        return JSON(embed_response(asked.model, vectors, seconds))

    return await asyncio.to_thread(response)


async def embeddings(request: Request) -> JSON:
    """Embed a text: the endpoint that Ollama had before."""
    asked = embeddings_asked(await service_of(request).body(request))
    return JSON(embeddings_response(await _vectors(request, asked)))


async def _vectors(request: Request, asked: EmbeddingAsked) -> Embeddings | None:
    service = service_of(request)
    named = await service.model(request, known_name(service.models, asked.model))
    if not asked.texts:
        return None
    return await embedded(request, named, asked.texts, asked.options)
