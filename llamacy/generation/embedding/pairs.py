"""From a query and a document to the tokens of a pair, which a classifier scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from llamacy.arguments import short
from llamacy.errors import ArgumentError, ContextLengthError
from llamacy.generation.embedding.reading import Tokens
from llamacy.generation.engine import Engine
from llamacy.tokenizers.token_table import check_text

_TWO_ENDS: Final = ("jina-v1-en", "jina-v2-code", "roberta-bpe")
"""Vocabularies like RoBERTa's, by GGUF's names."""


def has_two_ends(metadata: Mapping[str, Any]) -> bool:
    """Whether two tokens, not one, stand between the texts of a pair.

    Files say so since a later version of their format; before, it is so for the
    vocabularies of RoBERTa and XLM-RoBERTa.
    """
    said = metadata.get("tokenizer.ggml.add_sep_token")
    if isinstance(said, bool) and metadata.get("tokenizer.ggml.model") != "bert":
        return said
    is_unigram = metadata.get("tokenizer.ggml.model") == "t5"
    return is_unigram or metadata.get("tokenizer.ggml.pre") in _TWO_ENDS


@dataclass(frozen=True)
class PairReader:
    """Makes tokens of a query together with each of its documents.

    Attributes
    ----------
    engine : Engine
        Has the vocabulary, and `n_ctx`, the most tokens of a pair.
    query : str
        The first text of each pair.
    truncate : bool
        Whether pairs that are too long are cut.
    has_types : bool
        Whether the model tells the second text from the first by token types.
    has_two_ends : bool
        Whether two tokens stand between the texts.
    """

    engine: Engine
    query: str
    truncate: bool
    has_types: bool
    has_two_ends: bool

    def read(self, document: Any, name: str) -> Tokens:
        """Return the tokens of the query and a document.

        Raises
        ------
        ArgumentError
            The document is not a text; the error calls it `name`.
        ContextLengthError
            They have more than `n_ctx` tokens, and are not to be cut.
        """
        query, found = self._query, self._encode(checked_document(document, name))
        begin, end = self._around
        middle = end * (2 if self.has_two_ends else 1)
        n_around = len(begin) + len(middle) + len(end)
        n_tokens, n_ctx = n_around + len(query) + len(found), self.engine.n_ctx
        n_cut = max(0, n_tokens - n_ctx)
        if n_cut:
            if not self.truncate or n_ctx < n_around:
                raise ContextLengthError(n_tokens, n_ctx)
            n_query, n_found = longest_first(len(query), len(found), n_ctx - n_around)
            query, found = query[:n_query], found[:n_found]
        first, second = [*begin, *query, *middle], [*found, *end]
        types = None
        if self.has_types:
            types = [0] * len(first) + [1] * len(second)
        ids = first + second
        if not ids:
            raise ArgumentError(f"{name}: wanted at least one token, found none")
        return Tokens(ids, n_cut, types)

    def _encode(self, text: str) -> list[int]:
        return self.engine.tokenizer.get().encode(text, add_bos=False)

    @cached_property
    def _query(self) -> list[int]:
        return self._encode(self.query)

    @cached_property
    def _around(self) -> tuple[list[int], list[int]]:
        """The tokens before a text, and after it."""
        tokenizer = self.engine.tokenizer.get()
        begin = [tokenizer.bos_id] if tokenizer.add_bos else []
        end = [tokenizer.eos_id] if tokenizer.add_eos else []
        return [i for i in begin if i is not None], [i for i in end if i is not None]


def checked_document(document: object, name: str) -> str:
    """Return a document, which is a text.

    Raises
    ------
    ArgumentError
        It is not, or not Unicode; the error calls it `name`.
    """
    if not isinstance(document, str):
        raise ArgumentError(f"{name}: wanted a text, found {short(document)}")
    check_text(document, name)
    return document


def longest_first(n_first: int, n_second: int, n_both: int) -> tuple[int, int]:
    """Return how many tokens stay of two texts that have room for `n_both` together.

    The longer one is cut, and once it is as long as the other one, both are.
    """
    if n_first + n_second <= n_both:
        return n_first, n_second
    if n_first > n_second:
        second, first = longest_first(n_second, n_first, n_both)
        return first, second
    if n_first <= n_both // 2:
        return n_first, n_both - n_first
    return n_both // 2, n_both - n_both // 2
