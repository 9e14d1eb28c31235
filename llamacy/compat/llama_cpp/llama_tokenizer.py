"""A model's vocabulary in llama-cpp-python's shape: `llama_cpp.llama_tokenizer`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from llamacy.arguments import short
from llamacy.errors import ArgumentError, UnsupportedCallError
from llamacy.tokenizers.base import Tokenizer

if TYPE_CHECKING:
    from llamacy.compat.llama_cpp.llama import Llama


class BaseLlamaTokenizer(ABC):
    """Text to token ids and back."""

    @abstractmethod
    def tokenize(
        self, text: bytes, add_bos: bool = True, special: bool = True
    ) -> list[int]:
        """Turn text into token ids."""

    @abstractmethod
    def detokenize(
        self,
        tokens: Sequence[int],
        prev_tokens: Sequence[int] | None = None,
        special: bool = False,
    ) -> bytes:
        """Turn token ids into text."""


class LlamaTokenizer(BaseLlamaTokenizer):
    """A model's own vocabulary.

    Parameters
    ----------
    llama : Llama or Tokenizer
        The model, or llamacy's tokenizer of it.

    Attributes
    ----------
    tokenizer : Tokenizer
        llamacy's.
    bos, eos : int
        The tokens that begin and end a text, -1 for none.
    """

    def __init__(self, llama: Llama | Tokenizer) -> None:
        tokenizer = llama if isinstance(llama, Tokenizer) else llama.model
        self.tokenizer = tokenizer
        self.bos = -1 if tokenizer.bos_id is None else tokenizer.bos_id
        self.eos = -1 if tokenizer.eos_id is None else tokenizer.eos_id

    @property
    def end_token(self) -> int | None:
        """A token that ends a text, if the vocabulary has one."""
        return min(self.tokenizer.eog_ids, default=None)

    def tokenize(
        self, text: bytes, add_bos: bool = True, special: bool = True
    ) -> list[int]:
        """Turn text into token ids.

        Parameters
        ----------
        text : bytes
            UTF-8.
        add_bos : bool
            Whether to begin and end with the tokens that the vocabulary puts there.
        special : bool
            Whether names of control tokens in `text` become those tokens.

        Raises
        ------
        ArgumentError
            `text` is not bytes, or not UTF-8.
        """
        if not isinstance(text, bytes):
            raise ArgumentError(f"text: wanted bytes, found {short(text)}")
        try:
            decoded = text.decode()
        except UnicodeDecodeError as error:
            raise ArgumentError(f"text: wanted UTF-8, found {error}") from None
        return self.encode(decoded, add_bos, special)

    def detokenize(
        self,
        tokens: Sequence[int],
        prev_tokens: Sequence[int] | None = None,
        special: bool = False,
    ) -> bytes:
        """Turn token ids into text.

        Parameters
        ----------
        tokens : sequence of int
            Token ids.
        prev_tokens : sequence of int or None
            Makes no difference.
        special : bool
            Whether to write control tokens out.

        Returns
        -------
        bytes
            UTF-8, which may end within a character. The space that a vocabulary puts
            before a text is left out after a beginning-of-text token.
        """
        data = b"".join(self._bytes(token, special) for token in tokens)
        begins = len(tokens) > 0 and tokens[0] == self.bos
        return data[1:] if begins and data[:1] == b" " else data

    def encode(
        self, text: str, add_bos: bool = True, special: bool = True
    ) -> list[int]:
        """Turn text into token ids like `tokenize`."""
        return self.tokenizer.encode(
            text, add_bos=None if add_bos else False, parse_special=special
        )

    def decode(self, tokens: Sequence[int]) -> str:
        """Turn token ids into text like `detokenize`, leaving out invalid UTF-8."""
        return self.detokenize(tokens).decode(errors="ignore")

    def text(self, token: int) -> str:
        """Return the text of one token, whatever comes before it.

        A model may have logits of tokens beyond its vocabulary, whose text is empty.
        """
        return self.token_bytes(token).decode(errors="ignore")

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes of one token, which may be a part of a character."""
        if token >= self.tokenizer.n_vocab:
            return b""
        return self._bytes(token, False)

    def _bytes(self, token: int, special: bool) -> bytes:
        data = self.tokenizer.token_bytes(token)
        return self.tokenizer.piece(token).encode() if special and not data else data

    @classmethod
    def from_ggml_file(cls, path: str) -> LlamaTokenizer:
        """Read the vocabulary of a GGUF file."""
        from llamacy.model_files.tokenizer import load_tokenizer

        return cls(load_tokenizer(path))


class LlamaHFTokenizer(LlamaTokenizer):
    """A tokenizer of transformers, which cannot be made here."""

    def __init__(self, hf_tokenizer: object) -> None:
        raise UnsupportedCallError(
            "LlamaHFTokenizer: llamacy takes the tokenizer from the model's file"
        )

    @classmethod
    def from_pretrained(cls, path: str) -> Self:
        """Raise UnsupportedCallError: the model's file has the tokenizer."""
        return cls(path)
