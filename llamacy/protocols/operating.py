"""Requests of llama-server's looks at a model: texts to tokens and back."""

from __future__ import annotations

from dataclasses import dataclass

from llamacy.errors import ArgumentError
from llamacy.protocols.fields import Fields
from llamacy.protocols.openai.chat_request import model_name


@dataclass(frozen=True, slots=True)
class TokenizeRequest:
    """A checked request for token ids.

    Attributes
    ----------
    model : str
        The model's name; empty if the client leaves it to the server.
    text : str
        The text.
    add_special : bool
        Whether tokens that begin texts are added.
    parse_special : bool
        Whether names of control tokens are those tokens.
    with_pieces : bool
        Whether each token's text is wanted, too.
    """

    model: str
    text: str
    add_special: bool
    parse_special: bool
    with_pieces: bool


@dataclass(frozen=True, slots=True)
class DetokenizeRequest:
    """A checked request for a text, but for its token ids.

    Attributes
    ----------
    model : str
        The model's name; empty if the client leaves it to the server.
    ids : list
        The token ids.
    """

    model: str
    ids: list[int]


def tokenize_request(body: object) -> TokenizeRequest:
    """Check the body of ``/tokenize``.

    Raises
    ------
    ArgumentError
        A field is unknown, or its value is invalid; the message begins with its name.
    """
    fields = Fields(body)
    if (text := fields.text("content")) is None:
        raise ArgumentError("content: wanted a string, found nothing")
    request = TokenizeRequest(
        model_name(fields),
        text,
        fields.flag("add_special", False),
        fields.flag("parse_special", True),
        fields.flag("with_pieces", False),
    )
    fields.finish()
    return request


def detokenize_request(body: object) -> DetokenizeRequest:
    """Check the body of ``/detokenize``; errors are those of `tokenize_request`."""
    fields = Fields(body)
    if fields.take("tokens") is None:
        raise ArgumentError("tokens: wanted a list of token ids, found nothing")
    request = DetokenizeRequest(model_name(fields), fields.items("tokens"))
    fields.finish()
    return request
