"""Reading and drawing token by token, in one text that a Llama remembers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import TYPE_CHECKING, Unpack

import numpy as np
from numpy.typing import NDArray

from llamacy.arguments import short
from llamacy.compat.llama_cpp.arguments import Arguments, SamplingArguments
from llamacy.compat.llama_cpp.ignoring import tell
from llamacy.compat.llama_cpp.tokenizing import Tokenizing
from llamacy.errors import ArgumentError, UnsupportedCallError
from llamacy.model.model import Model
from llamacy.sampling import SamplingParams

if TYPE_CHECKING:
    from llamacy.sessions.session import Session


class LlamaState:
    """A text that was read, and its keys and values, which stay in memory.

    Their memory is freed when the state is garbage-collected.
    """

    def __init__(self, session: Session) -> None:
        self.session = session

    @property
    def n_tokens(self) -> int:
        """Tokens of the text."""
        return len(self.session.tokens)


class Evaluation(Tokenizing):
    """The part of a Llama that remembers a text; for one thread at a time.

    Parameters
    ----------
    model : Model
        Reads the text.
    """

    last_n_tokens_size: int
    verbose: bool
    _random: Random | None

    def __init__(self, model: Model) -> None:
        self._model = model
        self._remembered: Session | None = None

    def n_ctx(self) -> int:
        """Return the most tokens of a prompt and text together."""
        return self._model.n_ctx

    def n_vocab(self) -> int:
        """Return the number of tokens of the vocabulary."""
        return self._model.config.n_vocab

    def n_embd(self) -> int:
        """Return the width of the model."""
        return self._model.config.n_embd

    def close(self) -> None:
        """Free the memory; every later call raises ClosedError."""
        self.reset()
        self._model.close()

    def reset(self) -> None:
        """Forget the text."""
        if self._remembered is not None:
            self._remembered.close()
            self._remembered = None

    def eval(self, tokens: Sequence[int]) -> None:
        """Read more of the text.

        Raises
        ------
        ContextLengthError
            The text does not fit into the context.
        """
        self._session.feed(list(tokens))

    def sample(
        self,
        *,
        temp: float = 0.8,
        penalize_nl: bool = True,
        idx: int | None = None,
        **arguments: Unpack[SamplingArguments],
    ) -> int:
        """Draw a token to follow the text, without adding it.

        Parameters
        ----------
        temp : float
            The temperature.
        penalize_nl : bool
            Makes no difference.
        idx : None
            The last token of the text; no other is supported.
        **arguments : SamplingArguments
            Further arguments about drawing.

        Raises
        ------
        ArgumentError
            No text was read yet, or an argument is not supported.
        UnsupportedCallError
            A grammar is given.
        """
        if idx is not None:
            raise ArgumentError(f"idx: wanted None, the last token, found {short(idx)}")
        if not self.n_tokens:
            raise ArgumentError("sample: wanted a text read with eval, found none")
        if arguments.get("grammar") is not None:
            raise UnsupportedCallError(
                "grammar: wanted None, as a single token does not tell how far a text "
                "has come; `generate` takes it"
            )
        given = Arguments(max_tokens=1, temperature=temp, **arguments)
        with self._session.fork() as fork:
            tokens = fork.generate(params=self._params(given)).tokens
        return tokens[0] if tokens else self._tokenizer.eos

    def generate(
        self,
        tokens: Sequence[int],
        *,
        temp: float = 0.8,
        reset: bool = True,
        penalize_nl: bool = True,
        **arguments: Unpack[SamplingArguments],
    ) -> Iterator[int]:
        """Continue `tokens`, token by token, up to and with the end of the text.

        Parameters
        ----------
        tokens : sequence of int
            The prompt, at least one token.
        temp : float
            The temperature.
        reset : bool
            Whether to forget the remembered text first; False adds to it.
        penalize_nl : bool
            Makes no difference.
        **arguments : SamplingArguments
            Further arguments about drawing.

        Yields
        ------
        int
            The next token.
        """
        given = Arguments(max_tokens=None, temperature=temp, **arguments)
        if reset:
            self.reset()
        with self._session.stream(list(tokens), self._params(given)) as stream:
            for piece in stream:
                yield from piece.tokens
        if stream.completion.finish_reason == "stop":
            yield self._tokenizer.eos

    @property
    def n_tokens(self) -> int:
        """Tokens of the text."""
        return len(self._session.tokens)

    @property
    def input_ids(self) -> NDArray[np.int32]:
        """The text, int32, (n_tokens,)."""
        return np.array(self._session.tokens, np.int32)

    @property
    def scores(self) -> NDArray[np.float32]:
        """Logits after each token of the text, float32, (n_tokens, n_vocab).

        Computed on access, which reads the whole text again.
        """
        if not self.n_tokens:
            return np.empty((0, self.n_vocab()), np.float32)
        return self._model.logits(self._session.tokens)

    @property
    def eval_tokens(self) -> list[int]:
        """The text."""
        return list(self._session.tokens)

    @property
    def eval_logits(self) -> list[list[float]]:
        """`scores` as lists."""
        rows: list[list[float]] = self.scores.tolist()
        return rows

    def save_state(self) -> LlamaState:
        """Return the text as it is now, to come back to with `load_state`."""
        return LlamaState(self._session.fork())

    def load_state(self, state: LlamaState) -> None:
        """Come back to a text that `save_state` returned, as often as you like."""
        self.reset()
        self._remembered = state.session.fork()

    @property
    def _session(self) -> Session:
        """The text with its keys and values, made when it is first used."""
        if self._remembered is None:
            self._remembered = self._model.session()
        return self._remembered

    def _params(self, given: Arguments) -> SamplingParams:
        if given.tfs_z != 1:
            why = "llama.cpp does not have it any more"
            tell(["tfs_z"], why, verbose=self.verbose, stacklevel=4)
        return given.params(
            seed=None if self._random is None else self._random.getrandbits(32),
            penalty_last_n=self.last_n_tokens_size,
            end_token=self._tokenizer.end_token,
        )
