"""A text that grows: what was read or generated stays in the KV cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NoReturn, Self, TypeVar, Unpack

from llamacy.arguments import checked_integer, checks_options
from llamacy.errors import ArgumentError, BusyError, ClosedError, NotPicklableError
from llamacy.generation import calls
from llamacy.generation.cancelling import CancelToken
from llamacy.generation.context import Context
from llamacy.generation.engine import Engine
from llamacy.generation.gather import gather
from llamacy.generation.goals.goal import Goal
from llamacy.generation.goals.read import Read
from llamacy.generation.prompts import Prompt
from llamacy.generation.request import AnyRequest, Leftover, Request
from llamacy.generation.stages import Stage
from llamacy.generation.streams import AsyncStream, Stream
from llamacy.generation.tally import OnProgress
from llamacy.results import Completion
from llamacy.sampling import SamplingOptions, SamplingParams
from llamacy.sessions import file as session_file
from llamacy.sessions.held import HeldText
from llamacy.system.forks import Rank, fork_lock

GoalT = TypeVar("GoalT", bound=Goal)


class Session:
    """A text that grows, made by `Model.session`.

    A session keeps the keys and values of its text: a call reads only the tokens it
    adds. The whole text is read again if the model's adapters were changed in between,
    or if it was rewound further than the window of a model whose layers all have one.
    Recurrent layers go back to the last snapshot of their state, which is taken at the
    ends of messages: the tokens after it are read again.

    One call at a time: a second one while another generates raises BusyError. Closing a
    stream early leaves in the session the pieces that were taken from it.

    Examples
    --------
    >>> model = llamacy.load("demo")
    >>> with model.session() as session:
    ...     session.feed("The capital of France is")
    ...     with session.fork() as other:
    ...         print(session.generate(temperature=0), session.n_past, other.n_past)
     Paris 11 8
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
        self._lock = fork_lock(Rank.SESSION)  # guards all of the above

    def __reduce__(self) -> NoReturn:
        raise NotPicklableError(
            "a session cannot be pickled or copied: `fork` it, or `save` it to a file "
            "and use `Model.load_session` in the other process"
        )

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else f"{self.n_past} tokens"
        return f"<llamacy.Session: {state}>"

    def _repr_html_(self) -> str:
        from llamacy.notebook.cards import session_html  # only in a notebook

        return session_html(self.text, f"{self.n_past} tokens")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def tokens(self) -> list[int]:
        """Token ids of the whole text."""
        with self._lock:
            self._settle()
            return list(self._held.ids)

    @property
    def n_past(self) -> int:
        """Number of tokens of the whole text."""
        return len(self.tokens)

    @property
    def text(self) -> str:
        """The whole text, without control tokens."""
        return self._engine.tokenizer.get().decode(self.tokens)

    @checks_options()
    def feed(
        self,
        prompt: Prompt,
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
    ) -> None:
        """Read more text, and generate nothing.

        Prefill a long document once, then `fork` the session for each question on it.

        Parameters
        ----------
        prompt : str or sequence of int
            A text, or its token ids.
        cancel, progress : optional
            As for `Model.generate`. Tokens read before a cancellation stay, and the
            rest are read by the next call.

        Raises
        ------
        ContextLengthError
            The text does not fit into the context; none of it was read.
        ArgumentError
            An empty prompt, an id outside the vocabulary.
        """
        with self._call():
            request = self._request(prompt, Read, cancel)
            gather(self._engine.worker, [request], progress)

    @checks_options(SamplingOptions)
    def generate(
        self,
        prompt: Prompt | None = None,
        params: SamplingParams | None = None,
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        **options: Unpack[SamplingOptions],
    ) -> Completion:
        """Read `prompt`, if given, and continue the text; both become part of it.

        Other parameters, and errors, are those of `Model.generate`. After Ctrl-C the
        session is as it was before, and the text is in `Interrupted` alone.
        """
        make = self._maker(prompt, params, cancel, options)
        with self._call():
            return calls.complete(self._engine, make, progress)

    @checks_options(SamplingOptions)
    def stream(
        self,
        prompt: Prompt | None = None,
        params: SamplingParams | None = None,
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        **options: Unpack[SamplingOptions],
    ) -> Stream:
        """Continue the text like `generate`, piece by piece."""
        make = self._maker(prompt, params, cancel, options)
        with self._call():
            return calls.stream(self._engine, make, progress)

    @checks_options(SamplingOptions)
    async def agenerate(
        self,
        prompt: Prompt | None = None,
        params: SamplingParams | None = None,
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        **options: Unpack[SamplingOptions],
    ) -> Completion:
        """Continue the text like `generate`, without blocking the event loop."""
        make = self._maker(prompt, params, cancel, options)
        return await calls.complete_async(self._engine, make, progress)

    @checks_options(SamplingOptions)
    def astream(
        self,
        prompt: Prompt | None = None,
        params: SamplingParams | None = None,
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        **options: Unpack[SamplingOptions],
    ) -> AsyncStream:
        """Continue the text like `stream`, without blocking the event loop."""
        make = self._maker(prompt, params, cancel, options)
        return calls.stream_async(self._engine, make, progress)

    def fork(self) -> Session:
        """Return a session with the same text, which grows apart from this one.

        Their common beginning shares its KV pages; a page is copied when one of them
        writes to it. Close the fork, too.
        """
        with self._lock:
            self._take_turn()
            return Session(self._engine, self._origin, self._held.fork())

    @checks_options()
    def rewind(self, n_tokens: int) -> None:
        """Drop the last `n_tokens` tokens, to go on differently from there.

        Where all layers of the model have a window, keys and values are kept only for
        the last tokens; a text rewound further than that is read again. A model with
        recurrent layers reads the tokens after the last snapshot of its state again.

        Raises
        ------
        ArgumentError
            The text has fewer tokens.
        """
        with self._lock:
            self._take_turn()
            ids = self._held.ids
            n_tokens = checked_integer("n_tokens", n_tokens, 0, len(ids))
            self._held.keep(ids[: len(ids) - n_tokens])

    @checks_options()
    def save(self, path: session_file.Path) -> None:
        """Write the session to a file, for `Model.load_session`.

        The file holds the keys and values, and is as large as they are. It replaces
        `path` only once it is complete, and only its owner may read it.

        Raises
        ------
        ArgumentError
            `path` is not a path.
        ModelFileError
            It cannot be written; a file that was there before is unchanged.
        """
        with self._lock:
            self._take_turn()
            self._held.save(path, self._origin, self._engine)

    def close(self) -> None:
        """Free the memory; a text still being generated ends as ``"cancelled"``."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            if self._current is not None:
                self._current.withdraw()
                self._engine.worker.wake()
            self._settle()
            self._held.close()

    @contextmanager
    def _call(self) -> Iterator[None]:
        """Let go of a request that Ctrl-C kept from being submitted."""
        try:
            yield
        except KeyboardInterrupt:
            if (current := self._current) and current.stage is Stage.CREATED:
                current.withdraw()
            raise

    def _maker(
        self,
        prompt: Prompt | None,
        params: SamplingParams | None,
        cancel: CancelToken | None,
        options: SamplingOptions,
    ) -> calls.MakeRequests:
        """Check the options now; the prompt when the request is made."""
        checked = self._engine.params(params, options)
        goal = partial(self._engine.complete, params=checked)
        return lambda: [self._request(prompt, goal, cancel)]

    def _request(
        self,
        prompt: Prompt | None,
        goal: Callable[[Context], GoalT],
        cancel: CancelToken | None,
    ) -> Request[GoalT]:
        """Make a request to read `prompt`, and whatever else is its goal.

        It owns the session until it is settled.
        """
        with self._lock:
            self._take_turn()
            held, ids = self._held, self._ids_with(prompt)
            held.leave_last(ids)
            context = self._engine.context(ids, held.sequence, held.reading)
            request = Request(goal(context), leftover=Leftover.KEPT, cancel=cancel)
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

    def _take_turn(self) -> None:
        """Check that no other call is running in this session.

        Raises
        ------
        ClosedError
            The session is closed.
        BusyError
            Another call has not ended.
        """
        if self._is_closed:
            raise ClosedError("the session is closed")
        current = self._current
        if current is not None and not (current.is_settled or current.is_withdrawn):
            raise BusyError("the session is still generating: one call at a time")
        self._settle()

    def _settle(self) -> None:
        """Take over the text of the last request, if that has ended."""
        current = self._current
        if current is None or not (current.is_settled or current.is_withdrawn):
            return
        self._engine.worker.wait(current)
        self._current = None
        if current.is_settled:
            self._held.follow(current)
