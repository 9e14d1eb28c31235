"""From a text to the tokens that a pass reads: prompt, limit, token types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from llamacy.config import EmbeddingConfig
from llamacy.errors import ArgumentError, ContextLengthError
from llamacy.generation.engine import Engine
from llamacy.printable import printable


class Tokens(NamedTuple):
    """A text as it is read.

    Attributes
    ----------
    ids : sequence of int
        Its tokens, those that the vocabulary puts around a text included.
    n_cut : int
        Tokens that were cut off.
    types : sequence of int or None
        Token types, for the second of two texts.
    """

    ids: Sequence[int]
    n_cut: int = 0
    types: Sequence[int] | None = None


class ReadsTexts(Protocol):
    """Makes tokens of texts."""

    def read(self, text: Any, name: str, /) -> Tokens:
        """Return the tokens of a text, which errors call `name`."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Makes tokens of texts.

    Attributes
    ----------
    engine : Engine
        Has the vocabulary, and `n_ctx`, the most tokens of a text.
    prompt : str
        Put before each text.
    has_prompt : bool
        Whether the caller asked for it, so that ids are refused.
    truncate : bool
        Whether texts that are too long are cut.
    """

    engine: Engine
    prompt: str = ""
    has_prompt: bool = False
    truncate: bool = False

    def read(self, text: Any, name: str) -> Tokens:
        """Return the tokens of a text, or of ids, which stay as they are.

        Raises
        ------
        ArgumentError
            Neither a text nor ids, or without a token; the error calls it `name`.
        ContextLengthError
            It has more than `n_ctx` tokens, and is not to be cut.
        """
        engine = self.engine
        if isinstance(text, str):
            ids = engine.tokenizer.get().encode(self.prompt + text)
        else:
            ids = engine.checked_ids(name, text)
            if self.has_prompt:
                wanted = "a text, which a prompt can be put before"
                raise ArgumentError(f"{name}: wanted {wanted}, found token ids")
        if not ids:
            raise ArgumentError(f"{name}: wanted at least one token, found none")
        n_cut = len(ids) - engine.n_ctx
        if n_cut <= 0:
            return Tokens(ids)
        if not self.truncate:
            raise ContextLengthError(len(ids), engine.n_ctx)
        return Tokens(self._cut(ids), n_cut)

    def _cut(self, ids: list[int]) -> list[int]:
        """Cut a text before the token that ends it, which stays."""
        end = ids[-1:] if ids[-1] == self._end_id() else []
        return ids[: self.engine.n_ctx - len(end)] + end

    def _end_id(self) -> int | None:
        tokenizer = self.engine.tokenizer.get_or_none()
        return tokenizer.eos_id if tokenizer is not None and tokenizer.add_eos else None


def prompt_of(
    config: EmbeddingConfig, name: str | None, prompt: str | None
) -> tuple[str, bool]:
    """Return the text to put before texts, and whether the caller asked for it.

    Parameters
    ----------
    config : EmbeddingConfig
        Has the model's prompts.
    name, prompt : str, optional
        The caller's `prompt_name` and `prompt`.

    Raises
    ------
    ArgumentError
        Both, one that is not a str, or a name that the model does not have.
    """
    for argument, value in ("prompt_name", name), ("prompt", prompt):
        if value is not None and not isinstance(value, str):
            kind = type(value).__name__
            raise ArgumentError(f"{argument}: wanted a str, found {kind}")
    if prompt is not None and name is not None:
        raise ArgumentError("prompt: wanted it or prompt_name, found both")
    if prompt is not None:
        return prompt, bool(prompt)
    prompts = config.prompts
    if name is None:
        return prompts.get(config.default_prompt, ""), False
    if name not in prompts:
        known = ", ".join(map(printable, prompts))
        wanted = f"one of {known}" if known else "none, as the model has no prompts"
        raise ArgumentError(f"prompt_name: wanted {wanted}, found {printable(name)}")
    return prompts[name], True
