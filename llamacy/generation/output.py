"""What one request has generated: tokens, their text, their likelihoods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from llamacy.generation.text import Text
from llamacy.results import Piece, TokenLogprob

if TYPE_CHECKING:
    from llamacy.sampling import SamplingParams
    from llamacy.tokenizers.base import Tokenizer


class Output:
    """Tokens in, pieces of text out; keeps both.

    Parameters
    ----------
    params : its `stop` and `include_stop` say where the text ends.
    tokenizer : turns tokens into bytes; without one the text stays empty.
    written : bytes of tokens that stand for others than the tokenizer says.
    """

    def __init__(
        self,
        params: SamplingParams,
        tokenizer: Tokenizer | None,
        written: Mapping[int, bytes] | None = None,
    ) -> None:
        self.tokens: list[int] = []
        self.logprobs: list[TokenLogprob] | None = (
            None if params.logprobs is None else []
        )
        self._tokenizer = tokenizer
        self._written = written or {}
        self._text = Text(params.stop or (), params.include_stop)
        self._shown: list[str] = []
        self._n_shown = 0  # tokens that went out in pieces

    @property
    def text(self) -> str:
        """All text that has become sure."""
        return "".join(self._shown)

    @property
    def is_stopped(self) -> bool:
        """Whether a stop string was found."""
        return self._text.stopped

    def push(self, token: int, logprob: TokenLogprob | None) -> str:
        """Add a token; return the text that has become sure."""
        self.tokens.append(token)
        if self.logprobs is not None and logprob is not None:
            self.logprobs.append(logprob)
        # A model may have more rows than its vocabulary has texts.
        if self._tokenizer is None or token >= self._tokenizer.n_vocab:
            return ""
        written = self._written.get(token)
        if written is None:
            written = self._tokenizer.token_bytes(token)
        return self._text.push(written)

    def flush(self) -> str:
        """Return the text still held back, at the end."""
        return self._text.flush()

    def piece(self, text: str) -> Piece | None:
        """Make a piece of `text` and the tokens since the last one, if there is text.

        Without a tokenizer every token is a piece.
        """
        if not text and (self._tokenizer is not None or not self._held):
            return None
        tokens = self.tokens[self._n_shown :]
        logprobs = None
        if self.logprobs is not None:
            logprobs = self.logprobs[self._n_shown :]
        self._n_shown = len(self.tokens)
        self._shown.append(text)
        return Piece(text, tokens, logprobs)

    @property
    def _held(self) -> bool:
        return self._n_shown < len(self.tokens)
