"""Clients that hang up: their work ends within one forward pass."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from starlette.types import Receive

ResultT = TypeVar("ResultT")


class ClientGone(Exception):
    """The client hung up before it was answered."""


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Return what `work` returns; end it if the client hangs up.

    Parameters
    ----------
    receive : callable
        The application's `receive`, whose request body was read.
    work : coroutine
        Generates the answer; cancelling it ends the texts after the pass at hand.

    Raises
    ------
    ClientGone
        The client hung up first.
    """
    async with _begun(receive, work) as task:
        if not task.done():
            raise ClientGone
        return task.result()


async def until_gone(
    receive: Receive, work: Coroutine[Any, Any, ResultT], cancel: threading.Event
) -> ResultT:
    """Return what `work` returns; ask it to come to an end if the client hangs up.

    Parameters
    ----------
    receive : callable
        The application's `receive`, whose request body was read.
    work : coroutine
        Generates the answer, and returns what there is of it once `cancel` is set.
    cancel : threading.Event
        Set when the client hangs up.
    """
    async with _begun(receive, work) as task:
        if not task.done():
            cancel.set()
        return await task


@asynccontextmanager
async def _begun(
    receive: Receive, work: Coroutine[Any, Any, ResultT]
) -> AsyncIterator[asyncio.Task[ResultT]]:
    """Begin `work`, and wait until it has ended or the client has hung up."""
    task = asyncio.create_task(work)
    departure = asyncio.create_task(departs(receive))
    try:
        await asyncio.wait({task, departure}, return_when=asyncio.FIRST_COMPLETED)
        yield task
    finally:
        await end(task, departure)


async def departs(receive: Receive) -> None:
    """Return once the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def end(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks, and wait until they have cleaned up."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
