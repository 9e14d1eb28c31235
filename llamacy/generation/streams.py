"""Texts piece by piece, while they are generated."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import NoReturn, Self

from llamacy.arguments import check_callback
from llamacy.errors import NotPicklableError
from llamacy.generation.completions import completion, completion_so_far
from llamacy.generation.events import Done, Event, Progress
from llamacy.generation.gather import made_in_thread, withdraw
from llamacy.generation.goals.complete import Complete
from llamacy.generation.mailbox import RUN_AHEAD, AsyncMailbox, Posted, ThreadMailbox
from llamacy.generation.request import AnyRequest, Request
from llamacy.generation.tally import OnProgress
from llamacy.generation.worker import Worker
from llamacy.results import Completion, Piece, Timings, Usage


class _Delivered:
    """The pieces that a stream has given to its reader."""

    def __init__(self, progress: OnProgress | None) -> None:
        check_callback("progress", progress)
        self.is_over = False
        self._pieces: list[Piece] = []
        self._progress = progress

    @property
    def n_tokens(self) -> int:
        return sum(len(piece.tokens) for piece in self._pieces)

    def note(self, request: AnyRequest, event: Event) -> Piece | None:
        """Note an event; return it if it is a piece, raise what ended the request."""
        if isinstance(event, Piece):
            self._pieces.append(event)
            return event
        if isinstance(event, Progress):
            if self._progress is not None:
                self._progress(request.n_read / request.context.n_prompt)
            return None
        self.is_over = True
        request.raise_error()
        return None

    def completion(self, request: Request[Complete]) -> Completion:
        """Return the result as far as it was delivered; the whole one at the end."""
        if self.is_over:
            return completion(request)
        return completion_so_far(request, self._pieces)


class Stream(Iterator[Piece]):
    """Pieces of one text, which is generated a few pieces ahead of its reader.

    Closing it, or leaving its `with` block, ends the generation and frees its memory at
    once.
    """

    def __init__(
        self,
        worker: Worker,
        request: Request[Complete],
        progress: OnProgress | None = None,
    ) -> None:
        self._worker = worker
        self._request = request
        self._is_closed = False
        self._mailbox: ThreadMailbox[AnyRequest] = ThreadMailbox(RUN_AHEAD)
        try:
            self._delivered = _Delivered(progress)
            worker.submit([request], self._mailbox)
        except BaseException:
            withdraw(worker, [request])
            raise

    def __reduce__(self) -> NoReturn:
        raise NotPicklableError(
            "a stream cannot be pickled or copied: collect its pieces, "
            "or its `completion`, and send those"
        )

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Piece:
        while not (self._delivered.is_over or self._is_closed):
            posted = self._mailbox.take()
            if self._mailbox.made_room:
                self._worker.wake()
            if posted is None:
                # another thread may have taken the last event
                is_settled = self._request.is_settled
                self._is_closed = is_settled and self._mailbox.is_empty
            elif piece := self._delivered.note(*posted):
                return piece
        raise StopIteration

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<llamacy.{type(self).__name__}: {self._delivered.n_tokens} tokens>"

    def _ipython_display_(self) -> None:
        from llamacy.notebook import cards, live  # only in IPython

        live.show(self, cards.text_html)

    def __del__(self) -> None:
        # Does not wait: the collector may run on the worker's own thread.
        if hasattr(self, "_delivered") and not self._delivered.is_over:
            self._withdraw()

    @property
    def completion(self) -> Completion:
        """The result so far; the whole one after the last piece."""
        return self._delivered.completion(self._request)

    def close(self) -> None:
        """End the generation; the stream gives nothing more."""
        if self._is_closed or self._delivered.is_over:
            return
        self._is_closed = True
        self._withdraw()
        self._worker.wait(self._request)

    def _withdraw(self) -> None:
        self._request.withdraw(self._delivered.n_tokens)
        self._worker.wake()


class AsyncStream(AsyncIterator[Piece]):
    """Pieces of one text, for a coroutine; the event loop is never blocked.

    It begins at `start`, which an `async with` block runs, or when the first piece is
    asked for. Closing it by `aclose`, or leaving its `async with` block, ends the
    generation and frees its memory.
    """

    def __init__(
        self,
        worker: Worker,
        make: Callable[[], list[Request[Complete]]],
        progress: OnProgress | None = None,
    ) -> None:
        import asyncio  # late, as in llamacy.generation.mailbox

        self._worker = worker
        self._make = make
        self._request: Request[Complete] | None = None
        self._mailbox: AsyncMailbox[AnyRequest] | None = None
        self._delivered = _Delivered(progress)
        self._is_closed = False
        self._beginning = asyncio.Lock()

    def __reduce__(self) -> NoReturn:
        raise NotPicklableError(
            "a stream cannot be pickled or copied: collect its pieces, "
            "or its `completion`, and send those"
        )

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Piece:
        while not (self._delivered.is_over or self._is_closed):
            posted = await self._take(await self._begin())
            # another task may have closed it meanwhile, or come to its end
            if self._delivered.is_over or self._is_closed:
                break
            if piece := self._delivered.note(*posted):
                return piece
        raise StopAsyncIteration

    def __repr__(self) -> str:
        return f"<llamacy.{type(self).__name__}: {self._delivered.n_tokens} tokens>"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        if self._request is not None and not self._delivered.is_over:
            self._withdraw(self._request)

    @property
    def completion(self) -> Completion:
        """The result so far; the whole one after the last piece."""
        if self._request is None:
            return _NOTHING
        return self._delivered.completion(self._request)

    async def start(self) -> None:
        """Check the prompt and submit it, before the first piece is asked for.

        A server learns so of a bad prompt or a full queue while it can still answer
        with a status. Does nothing if the stream has begun or is closed.

        Raises
        ------
        ArgumentError
            A bad prompt or option.
        ContextLengthError
            The prompt has more tokens than the context holds.
        BusyError
            As many requests wait as `max_waiting` allows, or a session is in use.
        ClosedError
            The model is closed.
        """
        if not self._is_closed:
            await self._begin()

    async def aclose(self) -> None:
        """End the generation; the stream gives nothing more."""
        if self._is_closed or self._delivered.is_over:
            return
        self._is_closed = True
        if self._request is not None and self._mailbox is not None:
            self._withdraw(self._request)
            while not self._request.is_settled:
                await self._take(self._mailbox)

    async def _begin(self) -> AsyncMailbox[AnyRequest]:
        """Submit the request, the first time."""
        async with self._beginning:
            if self._mailbox is None:
                (request,) = await made_in_thread(self._make)
                if self._is_closed:  # meanwhile, by another task
                    request.withdraw()
                mailbox: AsyncMailbox[AnyRequest] = AsyncMailbox(RUN_AHEAD)
                try:
                    self._worker.submit([request], mailbox)
                except BaseException:
                    withdraw(self._worker, [request])
                    raise
                self._request, self._mailbox = request, mailbox
            return self._mailbox

    async def _take(self, mailbox: AsyncMailbox[AnyRequest]) -> Posted[AnyRequest]:
        """Wait for an event. Every task that waits hears of the end."""
        posted = await mailbox.take()
        if isinstance(posted.event, Done):
            mailbox.post(*posted)
        if mailbox.made_room:
            self._worker.wake()
        return posted

    def _withdraw(self, request: Request[Complete]) -> None:
        request.withdraw(self._delivered.n_tokens)
        self._worker.wake()


_NOTHING = Completion("", [], "cancelled", Usage(0, 0, 0), Timings(0, 0.0, 0, 0.0, 0.0))
