"""Texts piece by piece, while they are generated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Self

from llamacy.arguments import check_callback
from llamacy.generation.gather import OnProgress, made_in_thread
from llamacy.generation.mailbox import (
    RUN_AHEAD,
    AsyncMailbox,
    Done,
    Event,
    Progress,
    ThreadMailbox,
)
from llamacy.generation.request import Request
from llamacy.generation.worker import Worker
from llamacy.results import Completion, Piece, Timings, Usage


class _Taken:
    """The pieces somebody has taken of one request."""

    def __init__(self, progress: OnProgress | None) -> None:
        check_callback("progress", progress)
        self.is_over = False
        self._pieces: list[Piece] = []
        self._progress = progress

    @property
    def n_tokens(self) -> int:
        return sum(len(piece.tokens) for piece in self._pieces)

    def note(self, request: Request, event: Event) -> Piece | None:
        """Note an event; return it if it is a piece, raise what ended the request."""
        if isinstance(event, Piece):
            self._pieces.append(event)
            return event
        if isinstance(event, Progress):
            if self._progress is not None:
                self._progress(request.n_read / request.n_prompt)
            return None
        self.is_over = True
        request.raise_error()
        return None

    def completion(self, request: Request) -> Completion:
        """Make a completion of the pieces taken."""
        logprobs = [one for piece in self._pieces for one in piece.logprobs or ()]
        has_logprobs = request.output.logprobs is not None
        return Completion(
            text="".join(piece.text for piece in self._pieces),
            tokens=[token for piece in self._pieces for token in piece.tokens],
            finish_reason="cancelled",
            usage=request.usage(self.n_tokens),
            timings=request.timings(),
            logprobs=logprobs if has_logprobs else None,
            prompt_logprobs=request.prompt_logprobs,
        )


class Stream(Iterator[Piece]):
    """Pieces of one text. It is generated a few pieces ahead of being asked for.

    Closing it, or leaving its ``with`` block, ends the generation and frees its
    memory at once.
    """

    def __init__(
        self, worker: Worker, request: Request, progress: OnProgress | None = None
    ) -> None:
        self._worker = worker
        self._request = request
        self._is_closed = False
        self._mailbox = ThreadMailbox(RUN_AHEAD)
        try:
            self._taken = _Taken(progress)
            worker.submit([request], self._mailbox)
        except BaseException:
            request.withdraw()
            raise

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Piece:
        while not (self._taken.is_over or self._is_closed):
            event = self._mailbox.take()
            if self._mailbox.made_room:
                self._worker.wake()
            if event is None:
                # another thread may have taken the last event
                self._is_closed = self._request.is_done and self._mailbox.is_empty
            elif piece := self._taken.note(*event):
                return piece
        raise StopIteration

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        # Does not wait: the collector may run on the worker's own thread.
        if hasattr(self, "_taken") and not self._taken.is_over:
            self._withdraw()

    @property
    def completion(self) -> Completion:
        """All that was taken so far; the whole result after the last piece."""
        if self._taken.is_over:
            return self._request.completion()
        return self._taken.completion(self._request)

    def close(self) -> None:
        """End the generation; the stream gives nothing more."""
        if self._is_closed or self._taken.is_over:
            return
        self._is_closed = True
        self._withdraw()
        self._worker.wait(self._request)

    def _withdraw(self) -> None:
        self._request.withdraw(self._taken.n_tokens)
        self._worker.wake()


class AsyncStream(AsyncIterator[Piece]):
    """Pieces of one text, for a coroutine; the event loop is never blocked.

    It begins when the first piece is asked for. Closing it by :meth:`aclose`, or
    leaving its ``async with`` block, ends the generation and frees its memory.
    """

    def __init__(
        self,
        worker: Worker,
        make: Callable[[], list[Request]],
        progress: OnProgress | None = None,
    ) -> None:
        self._worker = worker
        self._make = make
        self._request: Request | None = None
        self._mailbox: AsyncMailbox | None = None
        self._taken = _Taken(progress)
        self._is_closed = False
        self._beginning = asyncio.Lock()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Piece:
        while not (self._taken.is_over or self._is_closed):
            event = await self._take(await self._begin())
            # another task may have closed it meanwhile, or come to its end
            if self._taken.is_over or self._is_closed:
                break
            if piece := self._taken.note(*event):
                return piece
        raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        if self._request is not None and not self._taken.is_over:
            self._withdraw(self._request)

    @property
    def completion(self) -> Completion:
        """All that was taken so far; the whole result after the last piece."""
        if self._request is None:
            return _NOTHING
        if self._taken.is_over:
            return self._request.completion()
        return self._taken.completion(self._request)

    async def aclose(self) -> None:
        """End the generation; the stream gives nothing more."""
        if self._is_closed or self._taken.is_over:
            return
        self._is_closed = True
        if self._request is not None and self._mailbox is not None:
            self._withdraw(self._request)
            while self._request.is_running:
                await self._take(self._mailbox)

    async def _begin(self) -> AsyncMailbox:
        """Submit the request, the first time."""
        async with self._beginning:
            if self._mailbox is None:
                (request,) = await made_in_thread(self._make)
                if self._is_closed:  # meanwhile, by another task
                    request.withdraw()
                mailbox = AsyncMailbox(RUN_AHEAD)
                try:
                    self._worker.submit([request], mailbox)
                except BaseException:
                    request.withdraw()
                    raise
                self._request, self._mailbox = request, mailbox
            return self._mailbox

    async def _take(self, mailbox: AsyncMailbox) -> tuple[Request, Event]:
        """Wait for an event. Every task that waits hears of the end."""
        request, event = await mailbox.take()
        if isinstance(event, Done):
            mailbox.post(request, event)
        if mailbox.made_room:
            self._worker.wake()
        return request, event

    def _withdraw(self, request: Request) -> None:
        request.withdraw(self._taken.n_tokens)
        self._worker.wake()


_NOTHING = Completion("", [], "cancelled", Usage(0, 0, 0), Timings(0, 0.0, 0, 0.0, 0.0))
