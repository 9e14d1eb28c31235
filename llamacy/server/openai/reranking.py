"""`/v1/rerank`: documents in the order in which they answer a query."""

from __future__ import annotations

from starlette.requests import Request

from llamacy.errors import LlamacyError
from llamacy.protocols.openai.common import Head
from llamacy.protocols.openai.reranking import rerank_request, rerank_response
from llamacy.server.embedding import refusal_at
from llamacy.server.leaving import unless_gone
from llamacy.server.lengths import check_lengths
from llamacy.server.responses import JSON
from llamacy.server.service import service_of


async def rerank(request: Request) -> JSON:
    """Rank documents."""
    service = service_of(request)
    asked = rerank_request(await service.body(request))
    name, model = await service.model(request, asked.model)
    try:
        if not asked.options["truncate"]:
            pairs = ([asked.query, document] for document in asked.documents)
            await check_lengths(model, pairs)
        work = model.arerank(asked.query, asked.documents, **asked.options)
        ranking = await unless_gone(request.receive, work)
    except LlamacyError as error:
        raise refusal_at(error, "documents") from error
    service.note_read(request.scope, name, ranking.usage)
    return JSON(rerank_response(Head.new("rerank", name), asked, ranking))
