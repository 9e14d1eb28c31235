"""The tokens of a vocabulary, one by one: their texts and their bytes."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence

from llamacy.errors import ArgumentError
from llamacy.printable import shown
from llamacy.tokenizers.special_tokens import SpecialTokens
from llamacy.tokenizers.token_type import HIDDEN, TokenType
from llamacy.tokenizers.vocabulary import SPACE, Vocabulary, byte_of


class TokenTable:
    """The tokens of a vocabulary by id, and the ids of those with a role."""

    def __init__(self, vocabulary: Vocabulary, normalize: Callable[[str], str]) -> None:
        self.n_vocab = len(vocabulary.tokens)
        self.bos_id = vocabulary.bos_id
        self.eos_id = vocabulary.eos_id
        self.unk_id = vocabulary.unk_id
        self.eog_ids = vocabulary.eog_ids
        self.suppressed = vocabulary.suppressed
        self.suppressed_first = vocabulary.suppressed_first
        self.add_bos = vocabulary.add_bos
        self.add_eos = vocabulary.add_eos
        self._begin_ids = vocabulary.begin_ids
        self._tokens = vocabulary.tokens
        self._types = vocabulary.types
        self._special = SpecialTokens(vocabulary, normalize)
        self._bytes: list[bytes | None] = [None] * self.n_vocab

    def __repr__(self) -> str:
        """Return the class and the size of the vocabulary."""
        return f"<{type(self).__name__} of {self.n_vocab} tokens>"

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes that a token stands for, including a leading space.

        Bytes rather than text, because a character may be spread over several tokens.
        Control tokens stand for no bytes.

        Raises
        ------
        ArgumentError
            The id is not in the vocabulary.
        """
        token = self._checked(token)
        known = self._bytes[token]
        if known is None:
            known = self._bytes[token] = self._find_bytes(token)
        return known

    @property
    def markers(self) -> tuple[str, ...]:
        """Texts of the tokens that only a chat template may write, longest first."""
        return self._special.markers

    def piece(self, token: int) -> str:
        """Return a token's text in the vocabulary.

        Raises
        ------
        ArgumentError
            The id is not in the vocabulary.
        """
        return self._tokens[self._checked(token)]

    def _text_bytes(self, piece: str) -> bytes:
        """Return the bytes that an ordinary token stands for."""
        return piece.replace(SPACE, " ").encode()

    def _find_bytes(self, token: int) -> bytes:
        piece, kind = self._tokens[token], self._types[token]
        if kind in HIDDEN:
            return b""
        if kind == TokenType.USER_DEFINED:
            return piece.encode()
        byte = byte_of(piece) if kind == TokenType.BYTE else None
        return self._text_bytes(piece) if byte is None else bytes([byte])

    def _known(self, ids: Sequence[int]) -> Sequence[int]:
        """Replace ids beyond the vocabulary, which mark missing tokens, by `unk_id`."""
        if not ids or max(ids) < self.n_vocab:
            return ids
        if self.unk_id is None:
            raise ArgumentError(
                "text: the vocabulary has no token for some of its characters"
            )
        return [i if i < self.n_vocab else self.unk_id for i in ids]

    def _checked(self, token: int) -> int:
        try:
            index = operator.index(token)
        except TypeError:
            found = type(token).__name__
            raise ArgumentError(f"token id: wanted an int, found {found}") from None
        if not 0 <= index < self.n_vocab:
            raise ArgumentError(
                f"token id: wanted 0 to {self.n_vocab - 1}, found {shown(index)}"
            )
        return index


def iterator(ids: Iterable[int]) -> Iterator[int]:
    """Return an iterator over token ids; `ArgumentError` if they are not iterable."""
    try:
        return iter(ids)
    except TypeError:  # an array without an axis is an Iterable, too
        found = type(ids).__name__
        raise ArgumentError(f"ids: wanted token ids, found {found}") from None


def check_text(text: str, name: str = "text") -> None:
    """Raise `ArgumentError` if the argument `name` is not a string, or not Unicode."""
    if not isinstance(text, str):
        raise ArgumentError(f"{name}: wanted a str, found {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        code = f"U+{ord(text[error.start]):04X}"
        raise ArgumentError(
            f"{name}: wanted Unicode, found the lone surrogate {code} "
            f"at character {error.start}"
        ) from None
