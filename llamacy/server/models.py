"""The models of a server, by name; some are loaded when they are first asked for."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping

from llamacy.arguments import short
from llamacy.errors import ArgumentError
from llamacy.hub.names import HubName
from llamacy.model.model import Model
from llamacy.server.errors import Refusal, no_memory
from llamacy.server.hub import Hub
from llamacy.server.record import Record
from llamacy.server.slots import OnDemand, Slot

_logger = logging.getLogger("llamacy.server")


class Models:
    """Models by the names that clients call them.

    Parameters
    ----------
    models : mapping of str to Model or OnDemand
        At least one.
    max_bytes : int, optional
        Most bytes of the models that are loaded on demand; idle ones go first.
    idle_seconds : float, optional
        Seconds after which an idle model that was loaded on demand is unloaded.
    hub : Hub, optional
        Finds models that clients name on the hub.

    Attributes
    ----------
    hub : Hub or None
        The same.
    created : int
        When they were put together, seconds since 1970.

    Raises
    ------
    ArgumentError
        Not models by name.
    """

    def __init__(
        self,
        models: Mapping[str, Model | OnDemand],
        max_bytes: int | None = None,
        idle_seconds: float | None = None,
        hub: Hub | None = None,
    ) -> None:
        self.hub = hub
        self._slots = dict(_slots(models))
        self._max_bytes = max_bytes
        self._idle_seconds = idle_seconds
        self._making_room = asyncio.Lock()
        self.created = int(time.time())

    def __iter__(self) -> Iterator[str]:
        return iter(self._slots)

    @property
    def loaded(self) -> dict[str, Model]:
        """The models that are in memory, by name."""
        slots = self._slots.items()
        return {name: slot.model for name, slot in slots if slot.model is not None}

    def checked(self, name: str) -> str:
        """Return the name of a model; that of the only one if `name` is empty.

        Raises
        ------
        Refusal
            There is no such model.
        """
        if not name and len(self._slots) == 1:
            return next(iter(self._slots))
        if not name:
            message = f"model: wanted one of {', '.join(self)}"
            raise Refusal(400, message, field="model")
        if name not in self._slots:
            raise Refusal(
                404,
                f"the model {name[:200]!r} does not exist; "
                f"this server has {', '.join(self)}",
                field="model",
                code="model_not_found",
            )
        return name

    async def use(self, name: str, record: Record) -> tuple[str, Model]:
        """Return a model and its name, for one request; load it if it is not loaded.

        Parameters
        ----------
        name : str
            The model's name; may be empty if there is only one.
        record : Record
            The request, until whose end the model stays loaded.

        Raises
        ------
        Refusal
            There is no such model, or no memory for it while others are in use.
        LlamacyError
            It cannot be loaded.
        """
        if name not in self._slots and self.hub and (parsed := self.hub.name(name)):
            name = await self.add(parsed)
        slot = self._slots[self.checked(name)]
        slot.take()
        record.at_end(lambda: self._give_back(slot))
        if slot.model is not None:
            return slot.name, slot.model
        # the model belongs to all that wait for it: one that leaves does not stop it
        return slot.name, await asyncio.shield(slot.loading(self._load))

    async def add(self, name: HubName) -> str:
        """Add a model that has been fetched from the hub; return its name here.

        Raises
        ------
        Refusal
            It has not been fetched.
        LlamacyError
            Its file cannot be read.
        """
        served = str(name)
        if self.hub is not None and served not in self._slots:
            source = await self.hub.find(name)
            self._slots.setdefault(served, Slot(served, source=source))
        return served

    def unload(self, name: str) -> None:
        """Unload a model that was loaded on demand, unless it is in use."""
        slot = self._slots[self.checked(name)]
        if slot.is_idle:
            self._unload(slot)

    def n_bytes(self, name: str) -> int | None:
        """Return the bytes of a model that is loaded on demand; None of another."""
        source = self._slots[name].source
        return None if source is None else source.n_bytes

    def without_paths(self, message: str) -> str:
        """Return a message with the models' names in the place of their paths."""
        for name, slot in self._slots.items():
            message = message.replace(slot.path, name)
        return message

    async def _load(self, slot: Slot) -> Model:
        assert slot.source is not None
        async with self._making_room:
            self._make_room(slot.source.n_bytes)
            began = time.perf_counter()
            model = await asyncio.to_thread(slot.source.load)
            _logger.info("loaded %s, %.1f s", slot.name, time.perf_counter() - began)
            slot.model = model
        return model

    def _make_room(self, n_bytes: int) -> None:
        """Unload idle models, those used longest ago first, until a model fits."""
        if self._max_bytes is None:
            return
        others = [slot for slot in self._slots.values() if slot.is_loaded_on_demand]
        taken = sum(slot.n_bytes for slot in others)
        for slot in sorted(others, key=lambda slot: slot.used_at):
            if taken + n_bytes <= self._max_bytes:
                return
            if slot.is_idle:
                self._unload(slot)
                taken -= slot.n_bytes
        if taken + n_bytes > self._max_bytes:
            raise no_memory(n_bytes, self._max_bytes, can_wait=taken > 0)

    def _give_back(self, slot: Slot) -> None:
        slot.give_back()
        if slot.is_idle and self._idle_seconds is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(self._idle_seconds, self._unload_if_idle, slot)

    def _unload_if_idle(self, slot: Slot) -> None:
        """Unload a model that nobody has used since the request that looks at it."""
        assert self._idle_seconds is not None
        if slot.is_idle and time.monotonic() - slot.used_at >= self._idle_seconds:
            self._unload(slot)

    def _unload(self, slot: Slot) -> None:
        slot.close()
        _logger.info("unloaded %s", slot.name)


def _slots(
    models: Mapping[str, Model | OnDemand],
) -> Iterator[tuple[str, Slot]]:
    if not isinstance(models, Mapping) or not models:
        raise ArgumentError(
            f"models: wanted models by name, at least one, found {short(models)}"
        )
    for name, model in models.items():
        if not isinstance(name, str) or not name:
            raise ArgumentError(f"models: wanted names, found {short(name)}")
        if isinstance(model, Model):
            yield name, Slot(name, model=model)
        elif isinstance(model, OnDemand):
            yield name, Slot(name, source=model)
        else:
            wanted = "a llamacy.Model or an OnDemand"
            raise ArgumentError(
                f"models[{name!r}]: wanted {wanted}, found {short(model)}"
            )
