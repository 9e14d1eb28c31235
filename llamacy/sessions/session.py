"""A text that grows: what was read or generated stays in the KV cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self, Unpack

from llamacy.arguments import checked_integer
from llamacy.errors import ArgumentError, BusyError, ClosedError
from llamacy.generation.cancelling import CancelToken
from llamacy.generation.completions import completion
from llamacy.generation.context import Context
from llamacy.generation.engine import Engine, Prompt
from llamacy.generation.gather import (
    OnProgress,
    gather,
    gather_async,
    made_in_thread,
)
from llamacy.generation.goals.complete import Complete
from llamacy.generation.goals.read import Read
from llamacy.generation.request import AnyRequest, Leftover, Request
from llamacy.generation.streams import AsyncStream, Stream
from llamacy.results import Completion
from llamacy.sampling import SamplingOptions, SamplingParams
from llamacy.sessions import file as session_file
from llamacy.sessions.held import HeldText
from llamacy.system.forks import Rank, fork_lock


class Session:
    """A text that grows, made by :meth:`llamacy.Model.session`.

    What it holds is never read again: a call reads only what it adds, unless the
    model's adapters were changed in between, or the text went further back than what
    the model's window leaves of it, when it reads all. One call at a time;
    a second one while another generates raises BusyError. Closing a stream
    early leaves in the session what was taken of it.

    Examples
    --------
    >>> with model.session() as session:  # doctest: +SKIP
    ...     session.feed("Once upon a time")
    ...     print(session.generate(max_tokens=20))
    ...     other = session.fork()
    """

    def __init__(
        self,
        engine: Engine,
        origin: session_file.Origin,
        held: HeldText | None = None,
    ) -> None:
        self._engine = engine
        self._origin = origin
        self._held = held or HeldText()
        self._current: AnyRequest | None = None
        self._is_closed = False
        self._lock = fork_lock(Rank.SESSION)  # of all the above

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else f"{self.n_past} tokens"
        return f"<llamacy.Session: {state}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def tokens(self) -> list[int]:
        """Ids of the whole text."""
        with self._lock:
            self._settle()
            return list(self._held.ids)

    @property
    def n_past(self) -> int:
        """Tokens of the whole text."""
        return len(self.tokens)

    @property
    def text(self) -> str:
        """The whole text, without control tokens."""
        return self._engine.tokenizer.get().decode(self.tokens)

    def feed(
        self,
        prompt: Prompt,
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
    ) -> None:
        """Read more text, and generate nothing.

        Parameters
        ----------
        prompt : a text, or its token ids.
        cancel, progress : as of :meth:`llamacy.Model.generate`. What was read before
            it was cancelled stays, and the rest is read by the next call.

        Raises
        ------
        ContextLengthError : it does not fit into the context; nothing is read then.
        ArgumentError : an empty prompt, an id outside the vocabulary.
        """
        gather(self._engine.worker, [self._read(prompt, cancel)], progress)

    def generate(
        self,
        prompt: Prompt | None = None,
        params: SamplingParams | None = None,
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        **options: Unpack[SamplingOptions],
    ) -> Completion:
        """Read `prompt`, if any, and continue the text; both become part of it.

        Parameters and errors are those of :meth:`llamacy.Model.generate`.
        """
        made = self._engine.params(params, options)
        request = self._complete(prompt, made, cancel)
        gather(self._engine.worker, [request], progress)
        return completion(request)

    def stream(
        self,
        prompt: Prompt | None = None,
        params: SamplingParams | None = None,
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        **options: Unpack[SamplingOptions],
    ) -> Stream:
        """Continue the text, piece by piece."""
        made = self._engine.params(params, options)
        request = self._complete(prompt, made, cancel)
        return Stream(self._engine.worker, request, progress)

    async def agenerate(
        self,
        prompt: Prompt | None = None,
        params: SamplingParams | None = None,
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        **options: Unpack[SamplingOptions],
    ) -> Completion:
        """Do what :meth:`generate` does, without blocking the event loop."""
        made = self._engine.params(params, options)
        make = self._maker(prompt, made, cancel)
        (request,) = await made_in_thread(make)
        await gather_async(self._engine.worker, [request], progress)
        return completion(request)

    def astream(
        self,
        prompt: Prompt | None = None,
        params: SamplingParams | None = None,
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        **options: Unpack[SamplingOptions],
    ) -> AsyncStream:
        """Do what :meth:`stream` does, without blocking the event loop."""
        made = self._engine.params(params, options)
        make = self._maker(prompt, made, cancel)
        return AsyncStream(self._engine.worker, make, progress)

    def fork(self) -> Session:
        """Return a session with the same text, sharing the memory of what it holds."""
        with self._lock:
            self._take_turn()
            return Session(self._engine, self._origin, self._held.fork())

    def rewind(self, n_tokens: int) -> None:
        """Forget the last `n_tokens` tokens.

        Where all layers of the model have a window, its keys and values are kept of the
        last tokens only: from further back than those reach, the text is read again.

        Raises
        ------
        ArgumentError : there are not so many.
        """
        with self._lock:
            self._take_turn()
            ids = self._held.ids
            n_tokens = checked_integer("n_tokens", n_tokens, 0, len(ids))
            self._held.keep(ids[: len(ids) - n_tokens])

    def save(self, path: session_file.Path) -> None:
        """Write the session to a file, for :meth:`llamacy.Model.load_session`.

        The file is as large as the keys and values that the session holds.

        Raises
        ------
        ModelFileError : it cannot be written; what was there before stays.
        """
        with self._lock:
            self._take_turn()
            self._held.save(path, self._origin, self._engine)

    def close(self) -> None:
        """Give the memory back; a text still being generated ends as cancelled."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            if self._current is not None:
                self._current.withdraw()
                self._engine.worker.wake()
            self._settle()
            self._held.close()

    def _maker(
        self, prompt: Prompt | None, params: SamplingParams, cancel: CancelToken | None
    ) -> Callable[[], list[Request[Complete]]]:
        return lambda: [self._complete(prompt, params, cancel)]

    def _complete(
        self, prompt: Prompt | None, params: SamplingParams, cancel: CancelToken | None
    ) -> Request[Complete]:
        """Make a request to read `prompt` and continue the text.

        It has the session until it is settled.
        """
        with self._lock:
            self._take_turn()
            ids = self._ids_with(prompt)
            self._held.leave_last(ids)
            goal = self._engine.complete(self._context(ids), params)
            request = Request(goal, leftover=Leftover.KEPT, cancel=cancel)
            self._current = request
            return request

    def _read(self, prompt: Prompt, cancel: CancelToken | None) -> Request[Read]:
        """Make a request to read `prompt`; it has the session until it is settled."""
        with self._lock:
            self._take_turn()
            goal = Read(self._context(self._ids_with(prompt)))
            request = Request(goal, leftover=Leftover.KEPT, cancel=cancel)
            self._current = request
            return request

    def _ids_with(self, prompt: Prompt | None) -> list[int]:
        """Return the tokens of the text and of `prompt` after it, at least one."""
        ids = list(self._held.ids)
        if prompt is not None:
            ids += self._engine.prompt_ids(prompt, begins=not ids)
        if not ids:
            raise ArgumentError("prompt: wanted at least one token, found none")
        return ids

    def _context(self, ids: list[int]) -> Context:
        """Return `ids` with the sequence that holds the first of them."""
        held = self._held
        return Context(ids, self._engine.n_ctx, held.sequence, held.adapters)

    def _take_turn(self) -> None:
        """Make sure that nothing else goes on in this session.

        Raises
        ------
        ClosedError, BusyError : it is closed, or another call is not at its end.
        """
        if self._is_closed:
            raise ClosedError("the session is closed")
        current = self._current
        if current is not None and not (current.is_settled or current.is_withdrawn):
            raise BusyError("the session is still generating: one call at a time")
        self._settle()

    def _settle(self) -> None:
        """Take over what the last request has led to, if it is at its end."""
        current = self._current
        if current is None or not (current.is_settled or current.is_withdrawn):
            return
        self._engine.worker.wait(current)
        self._current = None
        if current.is_settled:
            self._held.follow(current)
