"""The part of a Llama that turns text into tokens and back."""

from __future__ import annotations

from collections.abc import Sequence

from llamacy.compat.llama_cpp.llama_tokenizer import LlamaTokenizer
from llamacy.tokenizers.base import Tokenizer


class Tokenizing:
    """Knows the vocabulary."""

    _tokenizer: LlamaTokenizer

    def tokenize(
        self, text: bytes, add_bos: bool = True, special: bool = False
    ) -> list[int]:
        """Turn UTF-8 text into token ids; `special` reads names of control tokens."""
        return self._tokenizer.tokenize(text, add_bos, special)

    def detokenize(
        self,
        tokens: Sequence[int],
        prev_tokens: Sequence[int] | None = None,
        special: bool = False,
    ) -> bytes:
        """Turn token ids into UTF-8 text; `special` writes control tokens out."""
        return self._tokenizer.detokenize(tokens, prev_tokens, special)

    def tokenizer(self) -> LlamaTokenizer:
        """Return the vocabulary."""
        return self._tokenizer

    def token_bos(self) -> int:
        """Return the token that begins a text, -1 if there is none."""
        return self._tokenizer.bos

    def token_eos(self) -> int:
        """Return the token that ends a text, -1 if there is none."""
        return self._tokenizer.eos

    def token_nl(self) -> int:
        """Return the token of a line break."""
        return self._tokenizer.tokenize(b"\n", add_bos=False)[-1]

    @property
    def model(self) -> Tokenizer:
        """The vocabulary, which functions of llama.cpp's C API take."""
        return self._tokenizer.tokenizer
