"""A vocabulary being put together from several files."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Final

from llamacy.errors import FormatError, shown
from llamacy.formats.gguf.limits import MAX_VOCAB
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata
from llamacy.tokenizers.token_type import TokenType

SPACE: Final = "\u2581"  # what stands for a space in SentencePiece's vocabularies

_MAX_GAPS: Final = 1 << 16  # ids without a token; a few hundred is the most seen
_ADDED_SCORE: Final = -1000.0  # what llama.cpp gives to tokens without one
_GAP_SCORE: Final = -10000.0

# texts of tokens that steer a model, though not all files say so
_SPECIAL: Final = re.compile(
    r"<pad>|<mask>|<2mass>|\[@BOS@\]|<\|.*\|>|<\uff5c.*\uff5c>|<unused.*>", re.DOTALL
)
_logger = logging.getLogger("llamacy")


class TokenList:
    """Tokens, their types and their scores.

    Parameters
    ----------
    path : the file they come from, for errors.
    texts, types : of each token, by id; what has no token is None.
    scores : of each token, for vocabularies that have such; else None.
    """

    def __init__(
        self,
        path: Path,
        texts: dict[int, str],
        types: dict[int, int],
        scores: dict[int, float] | None,
    ) -> None:
        self.path = path
        self._texts = texts
        self._types = types
        self._scores = scores

    def __contains__(self, i: object) -> bool:
        return i in self._texts

    def find(self, text: str) -> int | None:
        """Return the id of a token, None if there is none of that text."""
        found = (i for i, each in self._texts.items() if each == text)
        return next(found, None)

    def add(self, i: int, text: str, *, is_special: bool) -> None:
        """Add a token, or say more of one that is there.

        Parameters
        ----------
        is_special : whether it steers the model, and is no text.
        """
        if is_special or _SPECIAL.fullmatch(text):
            kind = TokenType.CONTROL
        else:
            kind = TokenType.USER_DEFINED
            # such tokens are looked for in the text, before it has other spaces
            text = text.replace(SPACE, " ") if self._scores is not None else text
        if self._types.get(i) != TokenType.UNKNOWN:
            self._types[i] = kind
        self._texts[i] = text
        if self._scores is not None:
            self._scores[i] = _ADDED_SCORE

    def add_entry(self, entry: JsonObject, i: int) -> None:
        """Add a token that an object describes."""
        text = entry.text("content")
        self.add(i, text, is_special=entry.flag("special", False))

    def fit(self, n_vocab: int | None) -> None:
        """Give each id up to `n_vocab` a token, and have none beyond.

        Raises
        ------
        FormatError : the model has not room for the vocabulary, or far more than that.
        """
        n_own = 1 + max(self._texts, default=-1)
        if n_vocab is None:
            n_vocab = n_own
        for i in [i for i in self._texts if i >= n_vocab]:
            if self._types[i] not in (TokenType.CONTROL, TokenType.USER_DEFINED):
                wanted = f"ids below vocab_size, {n_vocab}"
                raise FormatError(self.path, "vocabulary", wanted, i)
            text = shown(self._texts.pop(i))
            _logger.warning(
                "%s: token %s left out: its id %d is beyond the model's %d",
                self.path, text, i, n_vocab,
            )  # fmt: skip
        n_gaps = n_vocab - len(self._texts)
        if n_vocab > MAX_VOCAB or n_gaps > _MAX_GAPS:
            wanted = f"tokens for all ids below {n_vocab} but {_MAX_GAPS}"
            raise FormatError(self.path, "vocabulary", wanted, len(self._texts))
        for i in range(n_vocab):
            if i not in self._texts:
                self._texts[i], self._types[i] = f"[PAD{i}]", TokenType.UNUSED

    def add_to(self, metadata: Metadata) -> None:
        """Add the tokens; :meth:`fit` comes first.

        Raises
        ------
        FormatError : a text that is no Unicode.
        """
        ids = range(len(self._texts))
        texts = [self._texts[i] for i in ids]
        try:
            "".join(texts).encode()
        except UnicodeEncodeError:
            wanted, found = "texts in Unicode", "half of a surrogate pair"
            raise FormatError(self.path, "vocabulary", wanted, found) from None
        metadata.texts("tokenizer.ggml.tokens", texts)
        if self._scores is not None:
            scores = [self._scores.get(i, _GAP_SCORE) for i in ids]
            metadata.reals("tokenizer.ggml.scores", scores)
        kinds = [int(self._types[i]) for i in ids]
        metadata.integers("tokenizer.ggml.token_type", kinds)
