"""Texts and marks in the notation of grammars: Lark's, as llguidance reads it."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import TYPE_CHECKING

from llamacy.structured.grammar import lark_text

if TYPE_CHECKING:
    from llamacy.tokenizers.base import Tokenizer


class Marks:
    """Writes marks as tokens where they are tokens, and as text elsewhere.

    Parameters
    ----------
    tokenizer : Tokenizer
        The model's.
    special : container of int
        Tokens that are no text.
    """

    def __init__(self, tokenizer: Tokenizer, special: Container[int]) -> None:
        self._tokenizer = tokenizer
        self._special = special

    def __call__(self, mark: str) -> str:
        """Return a mark, or a text with marks in it, as terms of a rule."""
        parts: list[int | str] = []
        for part in self._tokenizer.split(mark):
            if isinstance(part, int) and part not in self._special:
                part = self._tokenizer.piece(part)
            if isinstance(part, str) and parts and isinstance(parts[-1], str):
                parts[-1] += part
            else:
                parts.append(part)
        terms = (f"<[{p}]>" if isinstance(p, int) else lark_text(p) for p in parts)
        return " ".join(terms)

    def is_token(self, mark: str) -> bool:
        """Whether a mark begins with a token, so that no text can be taken for it."""
        match self._tokenizer.split(mark):
            case [int() as token, *_]:
                return token in self._special
        return False

    def up_to(self, name: str, mark: str) -> str:
        """Return the rule `name`: any text up to a mark, the mark included.

        The mark's letters are no part of the text before it.
        """
        if self.is_token(mark):
            text = f"{name.upper()}_TEXT"
            return f"{name}: {text} {self(mark)}\n{text}: {without(mark)}\n"
        return f"{name}[lazy]: /(.|\\n)*{in_pattern(mark)}/\n"


def in_pattern(text: str) -> str:
    """Return a text as a part of a regular expression between slashes."""
    escaped = re.escape(text)  # a line break is a backslash and itself
    return escaped.replace("/", r"\/").replace("\n", "n")


def without(*marks: str) -> str:
    """Return a terminal for any text that contains none of some marks."""
    inner = "|".join(map(in_pattern, marks))  # several complements make many states
    return rf"/(.|\n)*/ & ~/(.|\n)*({inner})(.|\n)*/"
