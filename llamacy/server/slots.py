"""The place of one model, which may be loaded and unloaded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from llamacy.model.model import Model


@dataclass(frozen=True, slots=True)
class OnDemand:
    """A model that is loaded when it is first asked for.

    Attributes
    ----------
    load : callable
        Loads it; called on another thread.
    path : str
        Its file or folder; errors that clients see name the model instead.
    n_bytes : int
        Memory that it needs, about; 0 if unknown.
    """

    load: Callable[[], Model]
    path: str = ""
    n_bytes: int = 0


class Slot:
    """The place of one model.

    Parameters
    ----------
    name : str
        The model's name.
    model : Model, optional
        The model, which stays.
    source : OnDemand, optional
        Loads it, if it is not there.

    Attributes
    ----------
    model : Model or None
        The model, while it is loaded.
    used_at : float
        When the last request for it ended, in seconds of `monotonic`.
    """

    def __init__(
        self,
        name: str,
        *,
        model: Model | None = None,
        source: OnDemand | None = None,
    ) -> None:
        self.name = name
        self.model = model
        self.source = source
        self.path = (model.path if model else source.path if source else "") or name
        self.n_bytes = source.n_bytes if source else 0
        self.used_at = time.monotonic()
        self._n_users = 0
        self._loading: asyncio.Future[Model] | None = None

    @property
    def is_loaded_on_demand(self) -> bool:
        """Whether its model was loaded on demand, and is in memory."""
        return self.source is not None and self.model is not None

    @property
    def is_idle(self) -> bool:
        """Whether its model could be unloaded now."""
        return self.is_loaded_on_demand and not self._n_users

    def take(self) -> None:
        """Note a request that uses the model, or will."""
        self._n_users += 1

    def give_back(self) -> None:
        """Note the end of a request."""
        self._n_users -= 1
        self.used_at = time.monotonic()

    def loading(
        self, load: Callable[[Slot], Awaitable[Model]]
    ) -> asyncio.Future[Model]:
        """Return the loading of the model, which begins unless it has begun."""
        if self._loading is None or self._loading.done():
            self._loading = asyncio.ensure_future(load(self))
        return self._loading

    def close(self) -> None:
        """Unload the model; loading it again is possible."""
        model, self.model = self.model, None
        if model is not None:
            model.close()
