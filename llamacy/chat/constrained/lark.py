"""Texts and marks in the notation of grammars: Lark's, as llguidance reads it."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence, Set
from typing import TYPE_CHECKING, TypeAlias

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

    def within(self, mark: str, text: str) -> str:
        """Return a text in which only one mark counts, whatever else it spells."""
        parts = [lark_text(part) if part else "" for part in text.split(mark)]
        return f" {self(mark)} ".join(parts)

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
    needles = [_needle(mark) for mark in marks]
    firsts = {needle[0] for needle in needles}
    if firsts.isdisjoint("".join(needle[1:] for needle in needles)):
        return f"/{_avoiding(needles, firsts)}/"
    inner = "|".join(map(in_pattern, marks))
    return rf"/(.|\n)*/ & ~/(.|\n)*({inner})(.|\n)*/"


def _needle(mark: str) -> str:
    """Return the longest end of a mark whose first character it has once.

    The whole mark, if that end is so short that other texts have it.
    """
    start = next(i for i, first in enumerate(mark) if first not in mark[i + 1 :])
    return mark[start:] if len(mark) - start > 3 else mark


def _avoiding(needles: Sequence[str], firsts: Set[str]) -> str:
    """Return a regular expression for texts without any of some texts.

    A complement would say the same, but where a count stands beside it, that leads to
    more states than llguidance can make: it is written as whatever may come between a
    first character and the next one.

    Parameters
    ----------
    needles : sequence of str
        The texts. No first character of one occurs later in any.
    firsts : set of str
        Their first characters.
    """
    root: _Trie = {}
    for needle in needles:
        node = root
        for character in needle:
            node = node.setdefault(character, {})
        node[""] = {}
    begun = f"({'|'.join(_begun(root, c) for c in sorted(firsts))})"
    left = f"({'|'.join(_left(root, c, firsts) for c in sorted(firsts))})"
    return f"({_none_of(firsts)}|{begun}*{left})*{begun}*"


_Trie: TypeAlias = "dict[str, _Trie]"


def _inner(node: _Trie) -> list[str]:
    """Return the characters that lead on from a node, but not to the end of a text."""
    return [c for c, below in node.items() if c and "" not in below]


def _begun(node: _Trie, character: str) -> str:
    """Return a character of a trie, and the beginnings of texts that go on with it."""
    below = node[character]
    more = "|".join(_begun(below, c) for c in _inner(below))
    return in_pattern(character) + (f"({more})?" if more else "")


def _left(node: _Trie, character: str, firsts: Set[str]) -> str:
    """Return a character of a trie, and all beginnings that another one follows."""
    below = node[character]
    more = [
        _none_of(firsts | below.keys()),
        *(_left(below, c, firsts) for c in _inner(below)),
    ]
    return f"{in_pattern(character)}({'|'.join(more)})"


def _none_of(characters: Set[str]) -> str:
    return f"[^{''.join(in_pattern(c) for c in sorted(characters))}]"
