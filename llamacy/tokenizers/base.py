"""The base class of tokenizers: special tokens, BOS and EOS, added spaces."""

from __future__ import annotations

import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

from llamacy.arguments import checked_integer, checks_options
from llamacy.errors import ArgumentError
from llamacy.tokenizers.attributes import Form, SpacePrefix
from llamacy.tokenizers.splitting import Chunks
from llamacy.tokenizers.token_table import TokenTable, check_text, iterator
from llamacy.tokenizers.token_type import HIDDEN, TokenType
from llamacy.tokenizers.vocabulary import Vocabulary


class Tokenizer(TokenTable, ABC):
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
        self._normal_forms = normal_forms
        super().__init__(vocabulary, self._in_normal_form)
        self._space_prefix = space_prefix
        self._strips_space = space_prefix is not SpacePrefix.NONE
        self._strips_each = space_prefix is SpacePrefix.EACH

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
        check_text(text)
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
            Ids of special tokens, and the texts between them, which may be in their
            normal form. A text is empty where a token took the space that it begins
            with, and one is added before it.

        Raises
        ------
        ArgumentError
            `text` is not a string or has a lone surrogate.
        """
        check_text(text)
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
            elif part or self._special.in_words:  # of "" there is the added space
                ids += self._encode_text(part, first=first, after_special=after_special)
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
        each = strip and self._strips_each
        for given in iterator(ids):
            token = self._checked(given)
            kind = self._types[token]
            if kind in HIDDEN:
                piece = b"" if skip_special else self._tokens[token].encode()
            else:
                piece = self.token_bytes(token)
            if kind == TokenType.UNKNOWN:
                strip = strip and not piece  # it stands for a part of a text
            elif kind in HIDDEN or kind == TokenType.USER_DEFINED:
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
        check_text(text)
        max_tokens = checked_integer("max_tokens", max_tokens, 1)
        overlap = checked_integer("overlap", overlap, 0, max_tokens // 2)
        return list(Chunks(self, text, max_tokens, overlap))

    def _encode_text(self, text: str, *, first: bool, after_special: bool) -> list[int]:
        """Tokenize a text, with the space that it may begin with."""
        text = self._normalize(text)
        prefix = self._space_prefix.before(
            text, first=first, after_special=after_special
        )
        return self._encode_part(prefix + text)

    def _normalize(self, text: str) -> str:
        """Return a text in the form in which the vocabulary knows it."""
        return self._in_normal_form(text)

    def _in_normal_form(self, text: str) -> str:
        for form in self._normal_forms:
            text = unicodedata.normalize(form, text)
        return text

    @abstractmethod
    def _encode_part(self, text: str) -> list[int]:
        """Tokenize a text without parsing special tokens."""
