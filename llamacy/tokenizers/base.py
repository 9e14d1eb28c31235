"""What all tokenizers have in common: checks, special tokens, BOS and EOS."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

from llamacy.errors import ArgumentError
from llamacy.tokenizers.special_tokens import SpecialTokens
from llamacy.tokenizers.token_type import HIDDEN, TokenType
from llamacy.tokenizers.vocabulary import Vocabulary, byte_of


class Tokenizer(ABC):
    """Text to token ids and back. Any number of threads may use one at a time.

    Attributes
    ----------
    n_vocab : number of tokens; ids run from 0 to ``n_vocab - 1``.
    bos_id, eos_id, unk_id : begin and end of a text, unknown text; None if the
        vocabulary has none.
    eog_ids : the tokens that end a generation.
    add_bos, add_eos : whether :meth:`encode` adds these tokens unless told not to.
    """

    def __init__(self, vocabulary: Vocabulary, *, space_prefix: bool) -> None:
        self.n_vocab = len(vocabulary.tokens)
        self.bos_id = vocabulary.bos_id
        self.eos_id = vocabulary.eos_id
        self.unk_id = vocabulary.unk_id
        self.eog_ids = vocabulary.eog_ids
        self.add_bos = vocabulary.add_bos
        self.add_eos = vocabulary.add_eos
        self._tokens = vocabulary.tokens
        self._types = vocabulary.types
        self._space_prefix = space_prefix
        self._special = SpecialTokens(vocabulary)
        self._bytes: list[bytes | None] = [None] * self.n_vocab

    def __repr__(self) -> str:
        """Say what it is and how large."""
        return f"<{type(self).__name__} of {self.n_vocab} tokens>"

    def encode(
        self,
        text: str,
        *,
        add_bos: bool | None = None,
        parse_special: bool = False,
        continues: bool = False,
    ) -> list[int]:
        """Turn text into token ids.

        Parameters
        ----------
        text : any text.
        add_bos : None adds the BOS and EOS tokens that the vocabulary wants; True
            adds BOS in any case; False adds neither.
        parse_special : whether control tokens written out in the text become these
            tokens. Leave it off for text from elsewhere.
        continues : whether `text` goes on from another, so that no space is to be
            put before it where the vocabulary begins texts with one.

        Raises
        ------
        ArgumentError : `text` is no string or holds half of a surrogate pair; or
            there is no BOS token to add; or the vocabulary cannot express the text.
        """
        _check_text(text)
        bos = self.add_bos if add_bos is None else add_bos
        if bos and self.bos_id is None:
            raise ArgumentError("add_bos: this vocabulary has no BOS token")
        ids = [self.bos_id] if bos and self.bos_id is not None else []
        parts = self._special.split(text, parse_special=parse_special)
        ids += self.encode_parts(parts, continues=continues)
        if self.add_eos and add_bos is not False and self.eos_id is not None:
            ids.append(self.eos_id)
        return ids

    def split(self, text: str) -> list[str | int]:
        """Cut a text at all its special tokens: what ``parse_special`` begins with.

        Raises
        ------
        ArgumentError : `text` is no string or holds half of a surrogate pair.
        """
        _check_text(text)
        return self._special.split(text, parse_special=True)

    def encode_parts(
        self, parts: Iterable[str | int], *, continues: bool = False
    ) -> list[int]:
        """Turn the parts of a text into token ids, and add neither BOS nor EOS.

        Parameters
        ----------
        parts : ids of special tokens, and texts between them, in which none is
            looked for.
        continues : as :meth:`encode` takes it.
        """
        ids: list[int] = []
        after_special = not continues  # the beginning counts as such
        for part in parts:
            if isinstance(part, int):
                ids.append(part)
            elif part:
                prefix = " " if self._space_prefix and after_special else ""
                ids += self._encode_part(prefix + part)
            after_special = isinstance(part, int)
        return ids

    def decode(self, ids: Iterable[int], *, skip_special: bool = True) -> str:
        """Turn token ids into text: what :meth:`encode` was given.

        Parameters
        ----------
        ids : token ids. Bytes of theirs that are no UTF-8 become U+FFFD.
        skip_special : whether to leave out control tokens or to write them out.

        Raises
        ------
        ArgumentError : an id is not in the vocabulary.
        """
        pieces = []
        strip = self._space_prefix
        for given in ids:
            token = self._checked(given)
            kind = self._types[token]
            if kind in HIDDEN:
                piece = b"" if skip_special else self._tokens[token].encode()
            else:
                piece = self.token_bytes(token)
            if kind in HIDDEN or kind == TokenType.USER_DEFINED:
                strip = self._space_prefix
            elif piece:
                # the space that encode put before this stretch of text
                piece = piece[1:] if strip and piece[:1] == b" " else piece
                strip = False
            pieces.append(piece)
        return b"".join(pieces).decode(errors="replace")

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes a token stands for, with its leading space if it has one.

        Bytes and not text, because a character may be spread over several tokens.
        Control tokens stand for none.

        Raises
        ------
        ArgumentError : the id is not in the vocabulary.
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
        """Return a token as the vocabulary writes it.

        Raises
        ------
        ArgumentError : the id is not in the vocabulary.
        """
        return self._tokens[self._checked(token)]

    @abstractmethod
    def _encode_part(self, text: str) -> list[int]:
        """Tokenize text, not empty, that has no special tokens."""

    @abstractmethod
    def _text_bytes(self, piece: str) -> bytes:
        """Return the bytes that an ordinary token stands for."""

    def _find_bytes(self, token: int) -> bytes:
        piece, kind = self._tokens[token], self._types[token]
        if kind in HIDDEN:
            return b""
        if kind == TokenType.USER_DEFINED:
            return piece.encode()
        byte = byte_of(piece) if kind == TokenType.BYTE else None
        return self._text_bytes(piece) if byte is None else bytes([byte])

    def _known(self, ids: Sequence[int]) -> Sequence[int]:
        """Replace ids beyond the vocabulary, which stand for what it lacks."""
        if not ids or max(ids) < self.n_vocab:
            return ids
        if self.unk_id is None:
            raise ArgumentError(
                "text: it has characters for which the vocabulary has no token"
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
                f"token id: wanted 0 to {self.n_vocab - 1}, found {index}"
            )
        return index


def _check_text(text: str) -> None:
    if not isinstance(text, str):
        raise ArgumentError(f"text: wanted a str, found {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        code = f"U+{ord(text[error.start]):04X}"
        raise ArgumentError(
            f"text: wanted Unicode, found the lone surrogate {code} "
            f"at character {error.start}"
        ) from None
