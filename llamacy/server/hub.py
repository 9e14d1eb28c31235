"""Models that clients name on the hub, where the server's owner allows it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import llamacy.hub
from llamacy.errors import ArgumentError
from llamacy.hub.cache import find_cached
from llamacy.hub.names import SCHEME, HubName, parse_name
from llamacy.server.errors import Refusal
from llamacy.server.slots import OnDemand

FromHub = Callable[[str], OnDemand]
"""Returns the model that a name on the hub means, once its files are here."""

_HOSTS: Final = ("hf.co/", "huggingface.co/")
"""Beginnings of names that Ollama's clients write."""


class Hub:
    """Finds and fetches models by their names on the hub.

    Parameters
    ----------
    open : callable
        Returns the model that a name beginning with ``hf://`` means.
    """

    def __init__(self, open: FromHub) -> None:
        self._open = open
        self._fetching = asyncio.Lock()

    def name(self, text: str) -> HubName | None:
        """Return a name on the hub; None if a text cannot be one."""
        for host in _HOSTS:
            text = text.removeprefix(host)
        try:
            return parse_name(text.removesuffix(":latest"))
        except ArgumentError:
            return None

    async def find(self, name: HubName) -> OnDemand:
        """Return a model that has been fetched.

        Raises
        ------
        Refusal
            It has not been.
        """
        if await asyncio.to_thread(find_cached, name) is None:
            raise Refusal(
                404,
                f"the model {name} is not on this machine; fetch it with "
                f"POST /api/pull, or llamacy pull",
                field="model",
                code="model_not_found",
            )
        # never a path: clients must not name files of this machine
        return await asyncio.to_thread(self._open, f"{SCHEME}{name}")

    async def fetch(self, name: HubName) -> AsyncIterator[float]:
        """Fetch a model, one at a time, and yield the share that is here.

        A reader that stops ends the transfer, which can go on from there later.

        Raises
        ------
        HubError
            It cannot be fetched.
        """
        loop, told = asyncio.get_running_loop(), asyncio.Event()
        shares, is_left = [0.0], [False]

        def progress(share: float) -> None:
            if is_left[0]:
                raise _Left
            shares[0] = share
            loop.call_soon_threadsafe(told.set)

        def work() -> Path:
            return llamacy.hub.pull(str(name), progress=progress)

        async with self._fetching:
            task = asyncio.ensure_future(asyncio.to_thread(work))
            task.add_done_callback(lambda _: told.set())
            try:
                while not task.done():
                    await told.wait()
                    told.clear()
                    yield shares[0]
                task.result()
            finally:
                is_left[0] = True
                with contextlib.suppress(Exception):
                    await asyncio.shield(task)


class _Left(Exception):
    """Nobody waits for the transfer any more."""
