"""A text in chunks, each prefilled on its own, and the logits of its second half.

The first half of a chunk serves as context only, so that every prediction that counts
has enough of it. Tokens after the last whole chunk are left out. All of this follows
llama.cpp; source: its `tools/perplexity/perplexity.cpp`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llamacy.arguments import MAX_CTX, check_callback, checked_integer
from llamacy.errors import ArgumentError, ContextLengthError
from llamacy.generation.engine import Engine
from llamacy.generation.goals.logits import Logits
from llamacy.generation.in_turn import run_in_turn
from llamacy.generation.prompts import Prompt
from llamacy.generation.request import Leftover, Request
from llamacy.generation.tally import OnProgress
from llamacy.model.model import Model
from llamacy.quality.log_softmax import LogSoftmax, in_blocks

MIN_CTX = 3  # tokens, the fewest with a prediction that counts
DEFAULT_CTX = 512
DEFAULT_BATCH = 2048

Receive = Callable[[slice, LogSoftmax, NDArray[np.int32]], object]
"""Receives some predictions.

Called with their position among all predictions, with the predictions, and with the
tokens that follow in the text: int32, (n,).
"""


def checked_engine(model: object) -> Engine:
    """Return the engine of a model.

    Raises
    ------
    ArgumentError
        `model` is not a `Model`.
    """
    if not isinstance(model, Model):
        raise ArgumentError(f"model: wanted a Model, found {type(model).__name__}")
    return model.engine


def scored_in(n_ctx: int) -> int:
    """Return how many predictions of a chunk count: those from more than half of it."""
    return n_ctx - 1 - n_ctx // 2


@dataclass(frozen=True, slots=True)
class Chunks:
    """A text cut into chunks.

    Attributes
    ----------
    ids : int32, (n_chunks, n_ctx)
        Tokens of the text.
    bos_id : int or None
        The token that replaces each chunk's first token when the model reads it; None
        replaces nothing.
    """

    ids: NDArray[np.int32]
    bos_id: int | None

    @property
    def n_ctx(self) -> int:
        """Number of tokens of a chunk."""
        return int(self.ids.shape[1])

    @property
    def n_scored(self) -> int:
        """Number of predictions that count, in all chunks together."""
        return len(self.ids) * scored_in(self.n_ctx)

    def read(
        self,
        engine: Engine,
        n_batch: int,
        receive: Receive,
        progress: OnProgress | None = None,
    ) -> Generator[int, None, None]:
        """Run the model on the chunks; yield the predictions done after each chunk.

        Parameters
        ----------
        engine : Engine
            The model's engine.
        n_batch : int
            Most tokens of the chunks prefilled together; at least one chunk is.
        receive : callable
            Gets the predictions that count, a few at a time, on the worker's thread.
        progress : callable, optional
            Called with the share done, 0.0 to 1.0.

        Yields
        ------
        int
            Predictions done so far, of `n_scored`.

        Raises
        ------
        ContextLengthError
            The model's context does not hold a chunk.
        ModelOutputError
            A logit is NaN or infinite.
        """
        first, n_each = self.n_ctx // 2, scored_in(self.n_ctx)
        n_done = 0

        def request(number: int) -> Request[Logits]:
            ids: list[int] = self.ids[number].tolist()
            if self.bos_id is not None:
                ids[0] = self.bos_id
            following = self.ids[number, first + 1 :]

            def pass_on(token: int, logits: NDArray[np.float32]) -> None:
                nonlocal n_done
                row = token - first
                # no warnings: broken weights raise an error or show in the result
                with np.errstate(over="ignore", invalid="ignore"):
                    for block in in_blocks(*logits.shape):
                        rows = LogSoftmax.of(logits[block])
                        begin, end = row + block.start, row + block.stop
                        place = slice(number * n_each + begin, number * n_each + end)
                        receive(place, rows, following[begin:end])
                n_done += len(logits)

            # nothing is known of what follows the last token
            goal = Logits(engine.context(ids), pass_on, first, len(ids) - 1)
            return Request(goal, leftover=Leftover.CLOSED)

        def report() -> None:
            if progress is not None:
                progress(n_done / self.n_scored)

        check_callback("progress", progress)
        n_together = max(1, n_batch // self.n_ctx)
        requests = map(request, range(len(self.ids)))
        ended = run_in_turn(engine.worker, requests, n_together, report)
        for number, _ in enumerate(ended, 1):
            yield number * n_each


def cut(
    engine: Engine, text: Prompt, n_ctx: int | None, n_chunks: int | None
) -> Chunks:
    """Cut a text, or its token ids, into chunks of `n_ctx` tokens.

    Raises
    ------
    ArgumentError
        The text is shorter than one chunk, or an option is invalid.
    ContextLengthError
        The model's context does not hold a chunk.
    """
    if n_ctx is None:
        n_ctx = min(DEFAULT_CTX, engine.n_ctx)
    n_ctx = checked_integer("n_ctx", n_ctx, MIN_CTX, MAX_CTX)
    if n_ctx > engine.n_ctx:
        raise ContextLengthError(n_ctx, engine.n_ctx)
    ids = engine.prompt_ids(text, name="text")
    if len(ids) < n_ctx:
        raise ArgumentError(
            f"text: wanted at least one chunk of {n_ctx} tokens, found {len(ids)}"
        )
    n_chunks = checked_count(n_chunks, len(ids) // n_ctx)
    whole = np.array(ids[: n_chunks * n_ctx], np.int32)
    return Chunks(whole.reshape(n_chunks, n_ctx), chunk_bos(engine))


def checked_count(n_chunks: int | None, n_found: int) -> int:
    """Return how many of the `n_found` chunks to read; None reads all."""
    if n_chunks is None:
        return n_found
    return min(n_found, checked_integer("n_chunks", n_chunks, 1))


def chunk_bos(engine: Engine) -> int | None:
    """Return the beginning-of-text token, if the vocabulary puts it before texts."""
    tokenizer = engine.tokenizer.get_or_none()
    return tokenizer.bos_id if tokenizer is not None and tokenizer.add_bos else None
