"""Requests of OpenAI's embedding API as arguments of `Model.embed`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from llamacy.arguments import checked_choice, checked_integer, short
from llamacy.errors import ArgumentError
from llamacy.protocols.fields import Fields
from llamacy.protocols.openai.chat_request import model_name
from llamacy.protocols.openai.embeddings import EncodingFormat

MAX_INPUTS: Final = 2048
"""Most texts of one request."""

_NO_IDS: Final = (
    "wanted a text or a list of texts, not token ids, which may be of OpenAI's "
    "vocabulary (in langchain, set check_embedding_ctx_length=False)"
)


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """A checked request for embeddings.

    Attributes
    ----------
    model : str
        The model's name; empty if the client leaves it to the server.
    texts : list of str
        The texts.
    options : dict
        Keyword arguments of `Model.embed`.
    form : {"float", "base64"}
        How numbers are wanted.
    """

    model: str
    texts: list[str]
    options: dict[str, Any]
    form: EncodingFormat


def embedding_request(body: object) -> EmbeddingRequest:
    """Check a request's body.

    Raises
    ------
    ArgumentError
        A field is unknown, or its value is invalid; the message begins with its name.
    """
    fields = Fields(body)
    model = model_name(fields)
    texts = texts_of_input(fields.take("input"))
    wanted = fields.take("encoding_format", "float")
    form: Any = checked_choice("encoding_format", wanted, ("float", "base64"))
    options = vector_options(fields)
    if (prompt_name := fields.text("prompt_name")) is not None:
        options["prompt_name"] = prompt_name
    if (normalize := fields.take("normalize")) is not None:
        options["normalize"] = normalize
    options["truncate"] = fields.flag("truncate", False)
    fields.ignore(("user",))
    fields.finish()
    return EmbeddingRequest(model, texts, options, form)


def texts_of_input(given: object) -> list[str]:
    """Return the texts of a request: one, or a list of them.

    Raises
    ------
    ArgumentError
        Something else, or token ids.
    """
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts:
        raise ArgumentError(
            f"input: wanted a text or a list of texts, found {short(given)}"
        )
    if len(texts) > MAX_INPUTS:
        raise ArgumentError(
            f"input: wanted at most {MAX_INPUTS} texts, found {len(texts)}"
        )
    for index, text in enumerate(texts):
        if isinstance(text, int | list):
            raise ArgumentError(f"input: {_NO_IDS}, found {short(given)}")
        if not isinstance(text, str):
            raise ArgumentError(f"input[{index}]: wanted a text, found {short(text)}")
    return texts


def vector_options(fields: Fields) -> dict[str, Any]:
    """Take the number of dimensions out of a request's fields."""
    if (dimensions := fields.take("dimensions")) is None:
        return {}
    return {"dimensions": checked_integer("dimensions", dimensions, 1)}
