"""The base class of tokenizers: argument checks, special tokens, BOS and EOS."""

from __future__ import annotations

import operator
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence

from llamacy.arguments import checked_integer, checks_options
from llamacy.errors import ArgumentError
from llamacy.printable import shown
from llamacy.tokenizers.attributes import Form, SpacePrefix
from llamacy.tokenizers.special_tokens import SpecialTokens
from llamacy.tokenizers.splitting import Chunks
from llamacy.tokenizers.token_type import HIDDEN, TokenType
from llamacy.tokenizers.vocabulary import Vocabulary, byte_of


class Tokenizer(ABC):
    """Converts text to token ids and back. Tokenizers are thread-safe.

    Attributes
    ----------
    n_vocab : int
        Number of tokens; ids run from 0 to `n_vocab - 1`.
    bos_id : int or None
        The token that begins a text; None if the vocabulary has none.
    eos_id : int or None
        The token that ends a text; None if the vocabulary has none.
    unk_id : int or None
        The token for unknown text; None if the vocabulary has none.
    eog_ids : frozenset of int
        The tokens that end a generation.
    suppressed : frozenset of int
        The tokens that are never sampled.
    suppressed_first : frozenset of int
        The tokens that are not sampled as the first of a text.
    add_bos : bool
        Whether `encode` adds the BOS token by default.
    add_eos : bool
        Whether `encode` adds the EOS token by default.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        space_prefix: SpacePrefix,
        normal_forms: Sequence[Form] = (),
    ) -> None:
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
        self._space_prefix = space_prefix
        self._normal_forms = normal_forms
        self._strips_space = space_prefix is not SpacePrefix.NONE
        self._special = SpecialTokens(vocabulary)
        self._bytes: list[bytes | None] = [None] * self.n_vocab

    def __repr__(self) -> str:
        """Return the class and the size of the vocabulary."""
        return f"<{type(self).__name__} of {self.n_vocab} tokens>"

    @checks_options()
    def encode(
        self,
        text: str,
        *,
        add_bos: bool | None = None,
        parse_special: bool = False,
        continues: bool = False,
    ) -> list[int]:
        """Convert text to token ids.

        Parameters
        ----------
        text : str
            Any text.
        add_bos : bool, optional
            None adds the BOS and EOS tokens that the vocabulary asks for; True always
            adds BOS; False adds neither.
        parse_special : bool
            Whether the texts of control tokens become these tokens. Keep it off for
            untrusted text, which could otherwise steer the model.
        continues : bool
            Whether `text` continues another text. If so, the space with which some
            vocabularies begin a text is not added.

        Returns
        -------
        list of int
            Token ids.

        Raises
        ------
        ArgumentError
            `text` is not a string or has a lone surrogate, `add_bos` is true without a
            BOS token, or the vocabulary cannot express the text.
        """
        _check_text(text)
        bos = self.add_bos if add_bos is None else add_bos
        if bos and self.bos_id is None:
            raise ArgumentError("add_bos: this vocabulary has no BOS token")
        ids = [self.bos_id] if bos and self.bos_id is not None else []
        if not ids and add_bos is None:
            ids = self._begin_ids.copy()
        parts = self._special.split(text, parse_special=parse_special)
        ids += self.encode_parts(parts, continues=continues)
        if self.add_eos and add_bos is not False and self.eos_id is not None:
            ids.append(self.eos_id)
        return ids

    def split(self, text: str) -> list[str | int]:
        """Split a text at its special tokens, as `encode` does with `parse_special`.

        Returns
        -------
        list of str or int
            Ids of special tokens, and the texts between them.

        Raises
        ------
        ArgumentError
            `text` is not a string or has a lone surrogate.
        """
        _check_text(text)
        return self._special.split(text, parse_special=True)

    def encode_parts(
        self, parts: Iterable[str | int], *, continues: bool = False
    ) -> list[int]:
        """Convert the parts of a text to token ids, without adding BOS or EOS.

        Parameters
        ----------
        parts : Iterable of str or int
            Ids of special tokens, and the texts between them, in which special tokens
            are not parsed.
        continues : bool
            As in `encode`.

        Returns
        -------
        list of int
            Token ids.
        """
        ids: list[int] = []
        first = after_special = not continues  # the beginning is like a special token
        for part in parts:
            if isinstance(part, int):
                ids.append(part)
                first, after_special = False, part not in self._special.in_words
            elif part:
                part = self._normalize(part)
                prefix = self._space_prefix.before(
                    part, first=first, after_special=after_special
                )
                ids += self._encode_part(prefix + part)
                first = after_special = False
        return ids

    @checks_options()
    def decode(self, ids: Iterable[int], *, skip_special: bool = True) -> str:
        """Convert token ids to text: the inverse of `encode`.

        Parameters
        ----------
        ids : Iterable of int
            Token ids.
        skip_special : bool
            Whether to leave control tokens out rather than write their texts.

        Returns
        -------
        str
            The text; bytes that are not UTF-8 become U+FFFD.

        Raises
        ------
        ArgumentError
            An id is not in the vocabulary.
        """
        pieces = []
        strip = self._strips_space
        each = strip and self._space_prefix is SpacePrefix.EACH
        for given in _iterator(ids):
            token = self._checked(given)
            kind = self._types[token]
            if kind in HIDDEN:
                piece = b"" if skip_special else self._tokens[token].encode()
            else:
                piece = self.token_bytes(token)
            if kind in HIDDEN or kind == TokenType.USER_DEFINED:
                strip = each or (strip and not piece)
            elif piece:
                # drop the space that `encode` added
                piece = piece[1:] if strip and piece[:1] == b" " else piece
                strip = False
            pieces.append(piece)
        return b"".join(pieces).decode(errors="replace")

    @checks_options()
    def split_text(self, text: str, max_tokens: int, *, overlap: int = 0) -> list[str]:
        r"""Split a text into chunks that have room for few tokens.

        Parameters
        ----------
        text : str
            Any text.
        max_tokens : int
            Most tokens of a chunk, as ``encode(chunk, add_bos=False)`` counts them.
        overlap : int, default 0
            Most tokens that a chunk repeats of the end of the one before, at most half
            of `max_tokens`.

        Returns
        -------
        list of str
            Chunks. Where the second half of what a chunk can hold has the end of a
            paragraph, it ends with that; or else of a sentence or line, or of a word.
            Without `overlap` they join to the text.

        Raises
        ------
        ArgumentError
            An invalid argument, or a character with more than `max_tokens` tokens.

        Examples
        --------
        >>> tokenizer = llamacy.load_tokenizer("demo")
        >>> tokenizer.split_text("Once upon a time. The end.", 7)
        ['Once upon a time. ', 'The end.']
        """
        _check_text(text)
        max_tokens = checked_integer("max_tokens", max_tokens, 1)
        overlap = checked_integer("overlap", overlap, 0, max_tokens // 2)
        return list(Chunks(self, text, max_tokens, overlap))

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

    def _normalize(self, text: str) -> str:
        """Return a text in the form in which the vocabulary knows it."""
        for form in self._normal_forms:
            text = unicodedata.normalize(form, text)
        return text

    @abstractmethod
    def _encode_part(self, text: str) -> list[int]:
        """Tokenize a non-empty text without parsing special tokens."""

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


def _iterator(ids: Iterable[int]) -> Iterator[int]:
    try:
        return iter(ids)
    except TypeError:  # an array without an axis is an Iterable, too
        found = type(ids).__name__
        raise ArgumentError(f"ids: wanted token ids, found {found}") from None


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
