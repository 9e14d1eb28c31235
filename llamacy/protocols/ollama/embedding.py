"""Embeddings in Ollama's API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from llamacy.protocols.fields import Fields
from llamacy.protocols.ollama.request import model_asked
from llamacy.protocols.openai.embedding_request import texts_of_input, vector_options

if TYPE_CHECKING:
    from llamacy.generation.embedding.vectors import Embeddings

_NANOSECONDS = 10**9


@dataclass(frozen=True, slots=True)
class EmbeddingAsked:
    """A checked request for embeddings.

    Attributes
    ----------
    model : str
        The model's name.
    texts : list of str
        The texts; none if the model is only to be loaded.
    options : dict
        Keyword arguments of `Model.embed`.
    """

    model: str
    texts: list[str]
    options: dict[str, Any]


def embed_asked(body: object) -> EmbeddingAsked:
    """Check the body of ``/api/embed``.

    Raises
    ------
    ArgumentError
        A field's value is invalid; the message begins with its name.
    """
    fields = Fields(body)
    given = fields.take("input", [])
    texts = [] if given in ("", []) else texts_of_input(given)
    options = vector_options(fields) | {"truncate": fields.flag("truncate", True)}
    return EmbeddingAsked(model_asked(fields), texts, options)


def embeddings_asked(body: object) -> EmbeddingAsked:
    """Check the body of ``/api/embeddings``, which Ollama has had before.

    Its vectors are not normalised.
    """
    fields = Fields(body)
    prompt = fields.text("prompt")
    options = {"truncate": True, "normalize": False}
    return EmbeddingAsked(model_asked(fields), [prompt] if prompt else [], options)


def embed_response(
    model: str, vectors: Embeddings | None, seconds: float
) -> dict[str, Any]:
    """Return the answer of ``/api/embed``.

    Parameters
    ----------
    model : str
        The model's name, as the client knows it.
    vectors : Embeddings or None, (n_texts, n_dim)
        The vectors; None of no texts.
    seconds : float
        Seconds that it took.
    """
    return {
        "model": model,
        "embeddings": [] if vectors is None else np.asarray(vectors).tolist(),
        "total_duration": round(seconds * _NANOSECONDS),
        "load_duration": 0,
        "prompt_eval_count": 0 if vectors is None else vectors.usage.prompt_tokens,
    }


def embeddings_response(vectors: Embeddings | None) -> dict[str, Any]:
    """Return the answer of ``/api/embeddings``."""
    rows = [[]] if vectors is None else np.asarray(vectors).tolist()
    return {"embedding": rows[0]}
