"""Texts embedded for a request, whichever API it comes by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request

from llamacy.errors import LlamacyError
from llamacy.generation.embedding.vectors import Embeddings, vector_of_each
from llamacy.model.model import Model
from llamacy.server.capacity import check_capacity
from llamacy.server.errors import Refusal, refusal_of
from llamacy.server.leaving import unless_gone
from llamacy.server.lengths import check_lengths
from llamacy.server.service import service_of


async def embedded(
    request: Request,
    named: tuple[str, Model],
    texts: Sequence[str],
    options: Mapping[str, Any],
) -> Embeddings:
    """Return the embeddings of texts, and note their tokens.

    Parameters
    ----------
    request : Request
        The request, whose body was read.
    named : tuple of str and Model
        The model and its name.
    texts : sequence of str
        At least one.
    options : mapping
        Keyword arguments of `Model.embed`.

    Raises
    ------
    Refusal
        The texts cannot be embedded; the field at fault is ``input``.
    ClientGone
        The client hung up; the texts that are left are not read.
    """
    name, model = named
    try:
        check_capacity(model)
        if not options.get("truncate"):
            await check_lengths(model, ([text] for text in texts))
        work = model.aembed(list(texts), **options)
        vectors = vector_of_each(await unless_gone(request.receive, work))
    except LlamacyError as error:
        raise refusal_at(error, "input") from error
    service_of(request).note_read(request.scope, name, vectors.usage)
    return vectors


def refusal_at(error: LlamacyError, field: str) -> Refusal:
    """Return the refusal of a request one of whose texts is at fault."""
    refusal = refusal_of(error, field)
    if refusal.field == field and error.index is not None:
        refusal.field = f"{field}[{error.index}]"
    return refusal
