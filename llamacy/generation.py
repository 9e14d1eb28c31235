"""From prompts to texts: forward passes, tokens, whole characters, stop strings.

Prompts are decoded together: each keeps a sequence of its own, and a pass takes
rows of all of them. One prompt is the same with one sequence. Knows executors only
by the protocol below, and no files.
"""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import ContextLengthError
from llamacy.ops.batch import Batch, Sequence
from llamacy.results import Completion, FinishReason, Piece, Timings, Usage
from llamacy.sampling import Sampler, SamplingParams

if TYPE_CHECKING:
    from llamacy.tokenizers.base import Tokenizer

MAX_TOGETHER = 16
"""Most prompts decoded at once; more wait, because each one's KV cache is memory."""


class Executor(Protocol):
    """What generation asks of an executor."""

    @property
    def n_batch(self) -> int:
        """Most rows of one forward pass."""

    def new_sequence(self) -> Sequence:
        """Return an empty sequence."""

    def forward(self, batch: Batch) -> NDArray[np.float32]:
        """Logits (n_wanted, n_vocab); the sequences grow by their rows."""


class Text:
    """Bytes of tokens in, text that may be shown out.

    Holds back the bytes of an unfinished character and whatever may yet turn out
    to be the beginning of a stop string. Bytes that are not UTF-8 become U+FFFD.

    Parameters
    ----------
    stop : texts that end the generation.
    """

    def __init__(self, stop: Iterable[str] = ()) -> None:
        self.stopped = False
        self._stop = tuple(stop)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._tail = ""

    def push(self, data: bytes) -> str:
        """Add a token's bytes; return the text that has become sure."""
        if self.stopped:
            return ""
        self._tail += self._decoder.decode(data)
        return self._release()

    def flush(self) -> str:
        """Return what is still held, at the end of a text."""
        if self.stopped:
            return ""
        self._tail += self._decoder.decode(b"", final=True)
        sure = self._release()
        held, self._tail = self._tail, ""
        return sure + held

    def _release(self) -> str:
        """Split the tail into what may be shown, returned, and what is held."""
        found = [(self._tail.find(stop), stop) for stop in self._stop]
        # The stop string that ended first, as if the text had come in characters.
        ends = [(at + len(stop), at) for at, stop in found if at >= 0]
        if ends:
            self.stopped = True
            sure, self._tail = self._tail[: min(ends)[1]], ""
            return sure
        longest = max(map(len, self._stop), default=1) - 1
        n_held = min(longest, len(self._tail))
        while n_held and not self._may_stop(self._tail[-n_held:]):
            n_held -= 1
        cut = len(self._tail) - n_held
        sure, self._tail = self._tail[:cut], self._tail[cut:]
        return sure

    def _may_stop(self, text: str) -> bool:
        return any(stop.startswith(text) for stop in self._stop)


class Request:
    """One prompt on its way to a completion.

    Parameters
    ----------
    ids : the prompt's tokens, at least one.
    params : how to go on.
    n_ctx : most tokens of prompt and text together.
    tokenizer : turns tokens into bytes and knows the end of a text; without one
        the text stays empty.

    Raises
    ------
    ContextLengthError : the prompt has more than `n_ctx` tokens.
    """

    def __init__(
        self,
        ids: list[int],
        params: SamplingParams,
        n_ctx: int,
        tokenizer: Tokenizer | None,
    ) -> None:
        if len(ids) > n_ctx:
            raise ContextLengthError(len(ids), n_ctx)
        self._created = perf_counter()
        self._n_prompt = len(ids)
        self._limit = n_ctx - len(ids)
        if params.max_tokens is not None:
            self._limit = min(self._limit, params.max_tokens)
        self._tokenizer = tokenizer
        self._eog_ids = tokenizer.eog_ids if tokenizer else frozenset[int]()
        self._sampler = Sampler(params)
        self._text = Text(params.stop or ())
        self._shown: list[str] = []
        self._held_tokens: list[int] = []
        self._seconds = {True: 0.0, False: 0.0}  # of passes that read, that generate
        self._n_passes = {True: 0, False: 0}
        self._first_token_at: float | None = None
        self.sequence: Sequence | None = None
        self.pending = ids  # tokens the sequence does not hold yet
        self.tokens: list[int] = []
        self.finish_reason: FinishReason | None = None if self._limit else "length"

    @property
    def reading(self) -> bool:
        """Whether the prompt has not led to a token yet."""
        return self._first_token_at is None

    def advance(self, n_read: int) -> None:
        """Note that the sequence holds `n_read` more of the pending tokens."""
        self.pending = self.pending[n_read:]

    def accept(self, logits: NDArray[np.float32]) -> Piece | None:
        """Choose the next token from `logits` (n_vocab,); return new text, if any."""
        token = self._sampler.sample(logits)
        if self._first_token_at is None:
            self._first_token_at = perf_counter()
        text = ""
        if token in self._eog_ids:
            self.finish_reason = "stop"
        else:
            self.tokens.append(token)
            self._held_tokens.append(token)
            self.pending = [token]
            text = self._text.push(self._bytes(token))
            if len(self.tokens) == self._limit:
                self.finish_reason = "length"
        if self.finish_reason is not None:
            text += self._text.flush()
        if self._text.stopped:
            self.finish_reason = "stop"
        return self._piece(text)

    def spend(self, reading: bool, seconds: float) -> None:
        """Note the time of a pass this request had rows in."""
        self._seconds[reading] += seconds
        self._n_passes[reading] += 1

    def close(self) -> None:
        """Give the sequence's memory back."""
        if self.sequence is not None:
            self.sequence.close()
            self.sequence = None

    def completion(self) -> Completion:
        """Return the result so far."""
        first = self._first_token_at
        return Completion(
            text="".join(self._shown),
            tokens=list(self.tokens),
            finish_reason=self.finish_reason or "cancelled",
            usage=Usage(self._n_prompt, len(self.tokens)),
            timings=Timings(
                n_prompt=self._n_prompt if first else 0,
                prompt_seconds=self._seconds[True],
                n_generated=self._n_passes[False],
                generation_seconds=self._seconds[False],
                time_to_first_token=first - self._created if first else 0.0,
            ),
        )

    def _bytes(self, token: int) -> bytes:
        """Bytes of `token`; a model may have more rows than its vocabulary texts."""
        if self._tokenizer is None or token >= self._tokenizer.n_vocab:
            return b""
        return self._tokenizer.token_bytes(token)

    def _piece(self, text: str) -> Piece | None:
        if not text and self._tokenizer is not None:
            return None
        tokens, self._held_tokens = self._held_tokens, []
        self._shown.append(text)
        return Piece(text, tokens)


def decode(
    executor: Executor, requests: Iterable[Request]
) -> Generator[tuple[Request, Piece]]:
    """Run `requests` together to their ends, giving text as it comes.

    Closing the generator stops after the pass at hand and frees every sequence.
    """
    waiting = deque(request for request in requests if not request.finish_reason)
    active: list[Request] = []
    try:
        while waiting or active:
            while waiting and len(active) < min(MAX_TOGETHER, executor.n_batch):
                active.append(waiting.popleft())
                active[-1].sequence = executor.new_sequence()
            pieces = _step(executor, active)
            for request in active:
                if request.finish_reason:
                    request.close()
            active = [request for request in active if not request.finish_reason]
            yield from pieces
    finally:
        for request in active:
            request.close()


def _step(executor: Executor, active: list[Request]) -> list[tuple[Request, Piece]]:
    """One forward pass: either prompts are read, or all texts grow by a token.

    The two are kept apart so that a text's tokens come from passes of the same
    kind as when it is generated alone.
    """
    start = perf_counter()
    reading = any(request.reading for request in active)
    parts: list[tuple[Request, list[int]]] = []
    room = executor.n_batch
    for request in active:
        if room and request.reading == reading:
            parts.append((request, request.pending[:room]))
            room -= len(parts[-1][1])
    logits = iter(executor.forward(_batch(parts)))
    pieces = []
    for request, ids in parts:
        request.advance(len(ids))
        if not request.pending and (piece := request.accept(next(logits))):
            pieces.append((request, piece))
    seconds = perf_counter() - start
    for request, _ in parts:
        request.spend(reading, seconds)
    return pieces


def _batch(parts: list[tuple[Request, list[int]]]) -> Batch:
    """Rows of each request's tokens; logits where they are its last pending ones."""
    rows: list[tuple[list[int], Sequence, Literal["last", "none"]]] = []
    for request, ids in parts:
        assert request.sequence is not None
        whole = len(ids) == len(request.pending)
        rows.append((ids, request.sequence, "last" if whole else "none"))
    return Batch.join(rows)


class Stream(Iterator[Piece]):
    """Pieces of one text, generated as they are asked for.

    Closing it, or leaving its ``with`` block, ends the generation and frees its
    memory at once.
    """

    def __init__(self, executor: Executor, request: Request) -> None:
        self._request = request
        self._pieces = decode(executor, [request])

    def __next__(self) -> Piece:
        return next(self._pieces)[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def completion(self) -> Completion:
        """All that was generated so far."""
        return self._request.completion()

    def close(self) -> None:
        """End the generation; the stream gives nothing more."""
        self._pieces.close()
