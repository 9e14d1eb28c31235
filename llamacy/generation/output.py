"""The output of one request: tokens, their text, their likelihoods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from llamacy.generation.text_buffer import StopScope, TextBuffer
from llamacy.results import Piece, TokenLogprob

if TYPE_CHECKING:
    from llamacy.sampling import SamplingParams
    from llamacy.tokenizers.base import Tokenizer


class Output:
    """Takes tokens, gives pieces of text, and keeps both.

    Parameters
    ----------
    params : SamplingParams
        `stop` and `include_stop` say where the text ends.
    tokenizer : Tokenizer, optional
        Turns tokens into bytes; without one the text stays empty.
    token_bytes_override : mapping of int to bytes, optional
        Bytes of tokens that stand for other ones than the tokenizer says.
    stop_scope : StopScope, optional
        The parts of the text that stop strings may end; by default all.

    Attributes
    ----------
    tokens : list of int
        All tokens generated.
    logprobs : list of TokenLogprob or None
        Likelihoods of `tokens`, if they are asked for.
    """

    def __init__(
        self,
        params: SamplingParams,
        tokenizer: Tokenizer | None,
        token_bytes_override: Mapping[int, bytes] | None = None,
        stop_scope: StopScope | None = None,
    ) -> None:
        self.tokens: list[int] = []
        self.logprobs: list[TokenLogprob] | None = (
            None if params.logprobs is None else []
        )
        self._tokenizer = tokenizer
        self._n_known = 0 if tokenizer is None else tokenizer.n_vocab
        self._token_bytes_override = token_bytes_override or {}
        stop = tuple(params.stop or ())
        self._buffer = TextBuffer(stop, params.include_stop, stop_scope)
        self._control = self._control_tokens(stop)
        self._shown: list[str] = []  # the text of pieces
        self._n_shown = 0  # tokens of pieces
        self._sure = ""  # text that is in no piece yet
        self._is_over = False

    @property
    def text(self) -> str:
        """The text of all pieces."""
        return "".join(self._shown)

    @property
    def is_stopped(self) -> bool:
        """Whether a stop string was found."""
        return self._buffer.is_stopped

    def push(self, token: int, logprob: TokenLogprob | None) -> None:
        """Add a token."""
        self.tokens.append(token)
        if self.logprobs is not None and logprob is not None:
            self.logprobs.append(logprob)
        if token in self._control:
            self._sure += self._buffer.push_hidden(self._control[token])
        elif data := self._bytes(token):
            self._sure += self._buffer.push(data)

    def flush(self) -> None:
        """Hold no text back any longer: nothing follows."""
        self._sure += self._buffer.flush()
        self._is_over = True

    def piece(self) -> Piece | None:
        """Return the text that has become sure, with all tokens since the last piece.

        None if there is no such text. Without a tokenizer, tokens alone make a piece,
        and so do the last ones if their likelihoods are asked for.
        """
        has_last = self._is_over and self.logprobs is not None
        counts_tokens = self._tokenizer is None or has_last
        is_silent = counts_tokens and self._n_shown < len(self.tokens)
        if not self._sure and not is_silent:
            return None
        text, self._sure = self._sure, ""
        tokens = self.tokens[self._n_shown :]
        logprobs = None
        if self.logprobs is not None:
            logprobs = self.logprobs[self._n_shown :]
        self._n_shown = len(self.tokens)
        self._shown.append(text)
        return Piece(text, tokens, logprobs)

    def _bytes(self, token: int) -> bytes:
        # A model may have more rows than its vocabulary has texts.
        if token >= self._n_known or self._tokenizer is None:
            return b""
        override = self._token_bytes_override.get(token)
        return self._tokenizer.token_bytes(token) if override is None else override

    def _control_tokens(self, stop: tuple[str, ...]) -> dict[int, str]:
        """Return the control tokens that stop strings name, with their texts.

        They stand for no bytes, so that the text alone does not tell that they came.
        """
        if self._tokenizer is None or not stop:
            return {}
        named = [
            text
            for text in self._tokenizer.markers
            if any(text in string for string in stop)
        ]
        found = {}
        for text in named:
            match self._tokenizer.split(text):
                case [int() as token] if not self._bytes(token):
                    found[token] = text
        return found
