"""Prompts that cannot fit into the context are refused before they are read in full."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from llamacy.errors import ContextLengthError
from llamacy.model import lengths
from llamacy.model.lengths import is_long, texts_of
from llamacy.model.model import Model

__all__ = ["check_length", "check_lengths", "texts_of"]


async def check_length(model: Model, texts: Sequence[str]) -> None:
    """Check that the texts of a prompt together are not much longer than the context.

    Raises
    ------
    ContextLengthError
        They have more than `n_ctx` tokens; the number in it is estimated.
    """
    if is_long(model, text := "\n".join(texts)):
        await asyncio.to_thread(lengths.check_length, model, [text])


async def check_lengths(model: Model, prompts: Iterable[Sequence[str]]) -> None:
    """Check the texts of several prompts; the error's `index` is that of the prompt."""
    for index, texts in enumerate(prompts):
        try:
            await check_length(model, texts)
        except ContextLengthError as error:
            error.index = index
            raise
