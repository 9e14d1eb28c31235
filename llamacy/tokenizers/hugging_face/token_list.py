"""A vocabulary that is assembled from several files."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from llamacy.errors import FormatError
from llamacy.formats.gguf.limits import MAX_VOCAB
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata
from llamacy.printable import shown
from llamacy.tokenizers.attributes import (
    ADDED_KEY,
    FLAG_KEYS,
    LEFTMOST,
    MATCHING_KEY,
)
from llamacy.tokenizers.token_type import TokenType
from llamacy.tokenizers.vocabulary import SPACE

_MAX_GAPS: Final = 1 << 16  # ids without a token; the most seen are a few hundred
_ADDED_SCORE: Final = -1000.0  # llama.cpp's, for tokens without a score
_GAP_SCORE: Final = -10000.0

# texts of control tokens, which not all files mark as special
_SPECIAL: Final = re.compile(
    r"<pad>|<mask>|<2mass>|\[@BOS@\]|<\|.*\|>|<\uff5c.*\uff5c>|<unused.*>", re.DOTALL
)
_logger = logging.getLogger("llamacy")


class TokenList:
    """Tokens, their types and their scores.

    Parameters
    ----------
    path : Path
        The file they come from, for errors.
    texts : dict of int to str
        Texts by id.
    types : dict of int to int
        Types by id.
    scores : dict of int to float, or None
        Scores by id; None for a vocabulary without scores.
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
        self._added: set[int] = set()
        self._kept: set[int] = set()
        self._fixed: set[int] = set()
        self._flags: dict[str, set[int]] = {name: set() for name in FLAG_KEYS}

    def __contains__(self, i: object) -> bool:
        return i in self._texts

    def __len__(self) -> int:
        """Return the number of tokens."""
        return len(self._texts)

    def replace_first(self, count: int, texts: Sequence[str]) -> None:
        """Put special tokens in the place of the first ones; the others move along.

        Parameters
        ----------
        count : int
            The number of tokens to drop.
        texts : sequence of str
            The tokens in their place, of which the last one stands for unknown text.
        """
        rest = [i for i in sorted(self._texts) if i >= count]
        kept = [(self._texts[i], self._types[i]) for i in rest]
        special = [(text, int(TokenType.CONTROL)) for text in texts[:-1]]
        rows = [*special, (texts[-1], int(TokenType.UNKNOWN)), *kept]
        if self._scores is not None:
            scores = [0.0] * len(texts) + [self._scores[i] for i in rest]
            self._scores = dict(enumerate(scores))
        self._texts = {i: text for i, (text, _) in enumerate(rows)}
        self._types = {i: kind for i, (_, kind) in enumerate(rows)}

    def ids(self) -> dict[str, int]:
        """Return the id of each text."""
        return {text: i for i, text in self._texts.items()}

    def find(self, text: str) -> int | None:
        """Return the id of the token with that text; None if there is none."""
        found = (i for i, each in self._texts.items() if each == text)
        return next(found, None)

    def add_unknown(self, metadata: Metadata) -> None:
        """Add the id of the token for unknown text to `metadata`.

        Raises
        ------
        FormatError
            No token has the type.
        """
        found = (i for i, kind in self._types.items() if kind == TokenType.UNKNOWN)
        unknown = next(found, None)
        if unknown is None:
            raise FormatError(self.path, "vocabulary", "an unknown token", "none")
        metadata.integer("tokenizer.ggml.unknown_token_id", unknown)

    def check_plain(self, source: JsonObject) -> None:
        """Refuse added tokens that are looked for in the normalized text.

        Raises
        ------
        UnsupportedError
            There is one.
        """
        for i in sorted(self._flags["normalized"]):
            if self._types.get(i) == TokenType.USER_DEFINED:
                wanted = "false, in a vocabulary that changes texts"
                found = f"true, for {shown(self._texts[i])}"
                source.refuse("added token: normalized", wanted, found)

    def keep_texts(self) -> None:
        """Let no added token take the id of another token from here on."""
        self._kept = set(self._texts)

    def fix_texts(self, ids: Iterable[int]) -> None:
        """Let other lists change the attributes of some tokens, and not their texts."""
        self._fixed.update(ids)

    def add(
        self,
        i: int,
        text: str,
        *,
        is_special: bool,
        source: JsonObject,
        keeps_score: bool = False,
    ) -> bool:
        """Add a token, or update an existing one.

        Parameters
        ----------
        i : int
            Its id.
        text : str
            Its text.
        is_special : bool
            Whether it is a control token rather than text.
        source : JsonObject
            Where it is listed, for errors.
        keeps_score : bool
            Whether a token of the vocabulary has its score still.

        Returns
        -------
        bool
            Whether the token has this text; False if another list gave it another.

        Raises
        ------
        UnsupportedError
            The vocabulary has another token with that id.
        """
        given = text
        if is_special or _SPECIAL.fullmatch(text):
            kind = TokenType.CONTROL
        else:
            kind = TokenType.USER_DEFINED
            # parsed in the original text, before spaces become U+2581
            text = text.replace(SPACE, " ") if self._scores is not None else text
        known = self._texts.get(i)
        if i in self._kept and known not in (None, given, text):
            wanted = f"{shown(known)}, the vocabulary's token {i}"
            source.refuse("added token", wanted, given)
        if known not in (None, given, text) and i in self._fixed:
            _logger.warning(
                "%s: token %d: %s ignored: another list says %s",
                source.path,
                i,
                shown(given),
                shown(known),
            )
            return False
        if known not in (given, text):
            self._added.add(i)
        if self._types.get(i) != TokenType.UNKNOWN:
            self._types[i] = kind
        self._texts[i] = text
        if self._scores is not None and (known is None or not keeps_score):
            self._scores[i] = _ADDED_SCORE
        return True

    def add_entry(self, entry: JsonObject, i: int) -> None:
        """Add a token described by a JSON object."""
        is_special = entry.flag("special", False)
        text = entry.text("content")
        keeps_score = may_be_merged(entry)
        if not self.add(
            i, text, is_special=is_special, source=entry, keeps_score=keeps_score
        ):
            return
        for name, ids in self._flags.items():
            default = name == "normalized" and not is_special
            change = ids.add if entry.flag(name, default) else ids.discard
            change(i)

    def fit(self, n_vocab: int | None) -> None:
        """Drop added tokens with ids from `n_vocab` on, and pad unused ids below.

        Parameters
        ----------
        n_vocab : int or None
            The model's number of ids; None is one more than the greatest id.

        Raises
        ------
        FormatError
            `n_vocab` is too small for the vocabulary, or much too large.
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
                self.path,
                text,
                i,
                n_vocab,
            )
        n_gaps = n_vocab - len(self._texts)
        if n_vocab > MAX_VOCAB or n_gaps > _MAX_GAPS:
            wanted = f"tokens for all but {_MAX_GAPS} of the ids below {n_vocab}"
            raise FormatError(self.path, "vocabulary", wanted, len(self._texts))
        for i in range(n_vocab):
            if i not in self._texts:
                self._texts[i], self._types[i] = f"[PAD{i}]", TokenType.UNUSED

    def add_to(self, metadata: Metadata, *, is_normalized: bool) -> None:
        """Add the tokens to `metadata`, after `fit` was called.

        Parameters
        ----------
        metadata : Metadata
            Receives the keys.
        is_normalized : bool
            Whether there is a tokenizer.json, whose normalizer comes before the tokens
            that are marked as normalized.

        Raises
        ------
        FormatError
            A text has a lone surrogate.
        """
        ids = range(len(self._texts))
        texts = [self._texts[i] for i in ids]
        try:
            "".join(texts).encode()
        except UnicodeEncodeError:
            wanted, found = "texts in Unicode", "a lone surrogate"
            raise FormatError(self.path, "vocabulary", wanted, found) from None
        metadata.texts("tokenizer.ggml.tokens", texts)
        if self._scores is not None:
            scores = [self._scores.get(i, _GAP_SCORE) for i in ids]
            metadata.reals("tokenizer.ggml.scores", scores)
        kinds = [int(self._types[i]) for i in ids]
        metadata.integers("tokenizer.ggml.token_type", kinds)
        metadata.text(MATCHING_KEY, LEFTMOST)
        in_text = (i for i in ids if kinds[i] == TokenType.USER_DEFINED)
        if added := [i for i in in_text if i in self._added]:
            metadata.integers(ADDED_KEY, added)
        for name, flagged in self._flags.items():
            kept = sorted(flagged & self._texts.keys())
            if kept and (is_normalized or name != "normalized"):
                metadata.integers(FLAG_KEYS[name], kept)


def may_be_merged(entry: JsonObject) -> bool:
    """Whether a text may have an added token's text without the token being found.

    Then merges form it, if it is in the vocabulary.
    """
    if entry.flag("special", False):
        return False
    return entry.flag("normalized", True) or entry.flag("single_word", False)
