"""Several streams of generated text as one, and several answers at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from llamacy.server.leaving import end

PieceT = TypeVar("PieceT")
PieceT_co = TypeVar("PieceT_co", covariant=True)
ResultT = TypeVar("ResultT")


class Pieces(Protocol[PieceT_co]):
    """A stream of pieces."""

    def __anext__(self) -> Awaitable[PieceT_co]:
        """Return the next one, or raise StopAsyncIteration."""


class Started(Protocol):
    """A stream that can be begun before its first piece is asked for."""

    async def start(self) -> None:
        """Check the prompt, and submit it."""

    async def aclose(self) -> None:
        """End it."""


async def start_all(streams: Sequence[Started]) -> None:
    """Begin all streams; if one is refused, close those that have begun."""
    try:
        for stream in streams:
            await stream.start()
    except BaseException:
        for stream in streams:
            await stream.aclose()
        raise


async def joined(
    streams: Sequence[Pieces[PieceT]],
) -> AsyncIterator[tuple[int, PieceT | None]]:
    """Yield pieces as they come, each with the index of its stream; None at its end.

    A piece is asked for only when the one before it was taken, so that a slow reader
    holds up its own streams and no others.
    """
    if len(streams) == 1:
        while (only := await _piece(streams[0])) is not None:
            yield 0, only
        yield 0, None
        return
    waiting = {
        asyncio.ensure_future(_piece(stream)): index
        for index, stream in enumerate(streams)
    }
    try:
        while waiting:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                index = waiting.pop(task)
                piece = task.result()
                if piece is not None:
                    following = _piece(streams[index])
                    waiting[asyncio.ensure_future(following)] = index
                yield index, piece
    finally:
        await end(*waiting)


async def _piece(stream: Pieces[PieceT]) -> PieceT | None:
    try:
        return await stream.__anext__()
    except StopAsyncIteration:
        return None


async def all_of(works: Iterable[Coroutine[Any, Any, ResultT]]) -> list[ResultT]:
    """Return the results of several pieces of work; the first error ends them all."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        await end(*tasks)
