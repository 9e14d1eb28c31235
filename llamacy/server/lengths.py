"""Prompts that cannot fit into the context are refused before they are read in full."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from llamacy.errors import ContextLengthError
from llamacy.model.model import Model

_CHARACTERS: Final = 8
"""Characters of text for each token of the context, beyond which a look is worth it."""

_MARGIN: Final = 64
"""Tokens by which the beginning of a text may have more than belong to it."""


async def check_length(model: Model, texts: Sequence[str]) -> None:
    """Check that texts are not much longer than the context holds.

    Tokenizing megabytes takes seconds, which a request that is refused is not worth.
    So the beginning is tokenized first, and longer beginnings only if it fits.

    Parameters
    ----------
    model : Model
        The model.
    texts : sequence of str
        All texts of a prompt.

    Raises
    ------
    ContextLengthError
        They have more than `n_ctx` tokens; the number in it is estimated.
    """
    if sum(map(len, texts)) > _CHARACTERS * model.n_ctx:
        await asyncio.to_thread(_check, model, "\n".join(texts))


async def check_lengths(model: Model, prompts: Iterable[Sequence[str]]) -> None:
    """Check the texts of several prompts; the error's `index` is that of the prompt."""
    for index, texts in enumerate(prompts):
        try:
            await check_length(model, texts)
        except ContextLengthError as error:
            error.index = index
            raise


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
