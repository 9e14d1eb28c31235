"""Rankings of documents, in the shape that Jina, Cohere and llama-server share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from llamacy.arguments import checked_integer, short
from llamacy.errors import ArgumentError
from llamacy.protocols.fields import Fields
from llamacy.protocols.openai.chat_request import model_name

if TYPE_CHECKING:
    from llamacy.generation.embedding.ranking import Ranking
    from llamacy.protocols.openai.common import Head

MAX_DOCUMENTS: Final = 1000
"""Most documents of one request."""


@dataclass(frozen=True, slots=True)
class RerankRequest:
    """A checked request for a ranking.

    Attributes
    ----------
    model : str
        The model's name; empty if the client leaves it to the server.
    query : str
        The query.
    documents : list of str
        The documents.
    options : dict
        Keyword arguments of `Model.rerank`.
    has_documents : bool
        Whether the response repeats the documents.
    """

    model: str
    query: str
    documents: list[str]
    options: dict[str, Any]
    has_documents: bool


def rerank_request(body: object) -> RerankRequest:
    """Check a request's body.

    Raises
    ------
    ArgumentError
        A field is unknown, or its value is invalid; the message begins with its name.
    """
    fields = Fields(body)
    model = model_name(fields)
    if (query := fields.text("query")) is None:
        raise ArgumentError("query: wanted a text, found nothing")
    documents = _documents(fields.items("documents"))
    options: dict[str, Any] = {"truncate": fields.flag("truncate", False)}
    if (top_n := fields.take("top_n")) is not None:
        options["top_n"] = checked_integer("top_n", top_n, 1)
    if (instruction := fields.text("instruction")) is not None:
        options["instruction"] = instruction
    has_documents = fields.flag("return_documents", False)
    fields.ignore(("max_chunks_per_doc", "max_tokens_per_doc", "priority", "user"))
    fields.finish()
    return RerankRequest(model, query, documents, options, has_documents)


def rerank_response(
    head: Head, asked: RerankRequest, ranking: Ranking
) -> dict[str, Any]:
    """Return the dict of a ranking, the best document first.

    Parameters
    ----------
    head : Head
        Id and model.
    asked : RerankRequest
        The request.
    ranking : Ranking
        The ranking.
    """
    results: list[dict[str, Any]] = []
    for index, score in ranking:
        found: dict[str, Any] = {"index": index, "relevance_score": score}
        if asked.has_documents:
            found["document"] = {"text": asked.documents[index]}
        results.append(found)
    n_read = ranking.usage.prompt_tokens
    return {
        "id": head.id,
        "object": "list",
        "model": head.model,
        "results": results,
        "usage": {"prompt_tokens": n_read, "total_tokens": n_read},
    }


def _documents(given: list[Any]) -> list[str]:
    if not 1 <= len(given) <= MAX_DOCUMENTS:
        raise ArgumentError(
            f"documents: wanted 1 to {MAX_DOCUMENTS} texts, found {len(given)}"
        )
    texts: list[Any] = [
        one.get("text") if isinstance(one, Mapping) else one for one in given
    ]
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise ArgumentError(
                f"documents[{index}]: wanted a text, found {short(given[index])}"
            )
    return texts
