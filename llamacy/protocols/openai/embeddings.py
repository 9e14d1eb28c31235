"""Embeddings as the dicts of OpenAI's embedding API."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from llamacy.generation.embedding.vectors import Embeddings

EncodingFormat: TypeAlias = Literal["float", "base64"]
"""Whether numbers are written in decimal, or as the bytes of little-endian float32."""


class Embedding(TypedDict):
    """A text's vector."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingUsage(TypedDict):
    """Tokens read."""

    prompt_tokens: int
    total_tokens: int


class CreateEmbeddingResponse(TypedDict):
    """The vectors of all texts, in the order of the request."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage


def embedding_response(
    vectors: Embeddings, model: str, encoding_format: EncodingFormat = "float"
) -> CreateEmbeddingResponse:
    """Return the dict of embeddings.

    Parameters
    ----------
    vectors : Embeddings, (n_texts, n_dim)
        The result of `Model.embed`; (n_dim,) is one text's.
    model : str
        The model's name, as the client knows it.
    encoding_format : {"float", "base64"}, default "float"
        How numbers are written.

    Examples
    --------
    >>> from llamacy.generation.embedding.vectors import Embeddings
    >>> import numpy as np
    >>> vectors = Embeddings(np.array([[0.5, -2]], np.float32), (3,), (0,))
    >>> response = embedding_response(vectors, "minilm")
    >>> response["data"], response["usage"]["prompt_tokens"]
    ([{'object': 'embedding', 'index': 0, 'embedding': [0.5, -2.0]}], 3)
    >>> embedding_response(vectors, "minilm", "base64")["data"][0]["embedding"]
    'AAAAPwAAAMA='
    """
    rows = np.atleast_2d(np.asarray(vectors))
    n_tokens = vectors.usage.prompt_tokens
    return {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": _written(row, encoding_format),
            }
            for index, row in enumerate(rows)
        ],
        "model": model,
        "usage": {"prompt_tokens": n_tokens, "total_tokens": n_tokens},
    }


def _written(
    row: NDArray[np.float32], encoding_format: EncodingFormat
) -> list[float] | str:
    if encoding_format == "base64":
        return base64.b64encode(row.astype("<f4").tobytes()).decode("ascii")
    numbers: list[float] = row.tolist()
    return numbers
