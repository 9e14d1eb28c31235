"""A tokenizer's tokens, as llguidance knows them."""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamacy.structured.library import llguidance
from llamacy.tokenizers.base import Tokenizer

# user-defined tokens that mark parts of an answer, as Qwen's and Gemma's are
_MARK = re.compile(rb"<\|?/?[\w:]*(think|tool|channel)[\w:]*\|?>")


# Tokens that are handled together inside strings, bounded or not: nearly all, but for
# a string's last characters. A second set, of longer ones, costs a tenth of a second.
_SLICES = [r'[^"\\\x00-\x1F\x7F]{1,16}']


class Vocabulary:
    """The tokens of a model, in the trie that llguidance walks for each mask.

    A token that stands for no text, or ends texts, or that only a chat template may
    write, is no text here either, whatever the letters of its name.

    Parameters
    ----------
    tokenizer : Tokenizer
        Has the tokens.
    n_vocab : int
        Logits of a row: ids beyond the tokenizer's are padding.

    Attributes
    ----------
    n_tokens : int
        Tokens of the tokenizer.
    n_vocab : int
        Logits of a row.
    end_id : int
        The bit of a mask that says whether the text may end: it is no token.
    eog_ids : NDArray of int
        The tokens that end a text.
    ending : frozenset of int
        The same.
    special : dict of int to str
        The tokens that are no text, with their names.
    trie : llguidance.LLTokenizer
        The tokens themselves.
    """

    def __init__(self, tokenizer: Tokenizer, n_vocab: int) -> None:
        package = llguidance()
        self.n_tokens = self.end_id = tokenizer.n_vocab
        self.n_vocab = n_vocab
        self.ending = frozenset(tokenizer.eog_ids)
        self.eog_ids: NDArray[np.intp] = np.array(sorted(self.ending), np.intp)
        tokens = [tokenizer.token_bytes(i) for i in range(self.n_tokens)]
        self.special = _special(tokenizer, tokens, n_vocab)
        for i, name in self.special.items():
            tokens[i] = name.encode(errors="replace")
        # Weak, as the collector does not see what llguidance refers to.
        self._tokenizer = weakref.ref(tokenizer)
        given = _Tokens([*tokens, b"<end>"], [*self.special, self.end_id])
        given.encode = weakref.WeakMethod(self._ids)
        self.trie: Any = package.LLTokenizer(
            package.TokenizerWrapper(given), slices=_SLICES
        )

    def ids(self, text: str) -> list[int]:
        """Return the tokens of a text within another, as the model's tokenizer cuts it.

        Texts of special tokens stay text. Where the tokenizer would change the text,
        the longest tokens that there are are taken, one after the other.
        """
        tokenizer = self._tokenizer()
        assert tokenizer is not None
        parts: list[str | int] = [text]
        if any(mark in text for mark in self.special.values()):
            parts = self._parts(tokenizer, text)
            found = tokenizer.encode_parts(parts, continues=True)
        else:
            found = tokenizer.encode(text, add_bos=False, continues=True)
        written = b"".join(map(tokenizer.token_bytes, found))
        if written != text.encode() or not self.special.keys().isdisjoint(found):
            return list(self.trie.greedy_tokenize(text))
        return found

    def _ids(self, text: bytes) -> list[int]:
        return self.ids(text.decode())

    def _parts(self, tokenizer: Tokenizer, text: str) -> list[str | int]:
        """Split a text at its user-defined tokens, but not at special ones."""
        parts: list[str | int] = []
        for part in tokenizer.split(text):
            if isinstance(part, int) and part in self.special:
                part = self.special[part]
            if isinstance(part, str) and parts and isinstance(parts[-1], str):
                parts[-1] += part
            else:
                parts.append(part)
        return parts


class _Tokens:
    """The attributes that llguidance reads of a tokenizer."""

    bos_token_id = None

    def __init__(self, tokens: list[bytes], special: list[int]) -> None:
        self.tokens = tokens
        self.special_token_ids = special
        self.eos_token_id = special[-1]
        self.encode: weakref.WeakMethod[Callable[[bytes], list[int]]] | None = None

    def __call__(self, text: bytes) -> list[int]:
        encode = None if self.encode is None else self.encode()
        return [] if encode is None else encode(text)


def _special(
    tokenizer: Tokenizer, texts: Sequence[bytes], n_vocab: int
) -> dict[int, str]:
    """Return the tokens that are no text, with their names."""
    markers = {name.encode(errors="replace") for name in tokenizer.markers}
    found = {*tokenizer.eog_ids, *tokenizer.suppressed}
    found.update(range(n_vocab, tokenizer.n_vocab))
    for i, text in enumerate(texts):
        is_mark = text[:1] == b"<" and _MARK.fullmatch(text)
        if not text or is_mark or text in markers:
            found.add(i)
    return {i: tokenizer.piece(i) for i in sorted(found) if i < tokenizer.n_vocab}
