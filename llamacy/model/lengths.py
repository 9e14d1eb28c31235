"""Texts that cannot fit into the context are refused before they are read in full.

Tokenizing megabytes takes seconds, which a prompt that is refused is not worth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from llamacy.errors import ContextLengthError
from llamacy.model.model import Model

_CHARACTERS: Final = 8
"""Characters of text for each token of the context, beyond which a look is worth it."""

_MARGIN: Final = 64
"""Tokens by which the beginning of a text may have more than belong to it."""


def is_long(model: Model, text: str) -> bool:
    """Whether `check_length` needs time for a text."""
    return len(text) > _CHARACTERS * model.n_ctx


def check_length(model: Model, texts: Sequence[str]) -> None:
    """Check that no text is much longer than the context holds.

    The beginning is tokenized first, and longer beginnings only if it fits.

    Parameters
    ----------
    model : Model
        The model.
    texts : sequence of str
        Texts, of which each is to fit.

    Raises
    ------
    ContextLengthError
        One has more than `n_ctx` tokens; the number in it is estimated.
    """
    for text in texts:
        if is_long(model, text):
            _check(model, text)


def _check(model: Model, text: str) -> None:
    size = _CHARACTERS * model.n_ctx
    while size < len(text):
        beginning = text[:size]
        n_tokens = len(model.tokenize(beginning, add_bos=False))
        if n_tokens > model.n_ctx + _MARGIN:
            estimated = n_tokens * len(text) // size
            raise ContextLengthError(estimated, model.n_ctx)
        size *= 4


def texts_of(messages: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the texts of messages, whose contents need not be checked yet."""
    texts: list[str] = []
    for message in messages:
        content = message.get("content")
        parts = content if isinstance(content, list) else [content]
        for part in parts:
            text = part.get("text") if isinstance(part, Mapping) else part
            if isinstance(text, str):
                texts.append(text)
    return texts
