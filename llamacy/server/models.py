"""The models of a server, by name."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from llamacy.arguments import short
from llamacy.errors import ArgumentError
from llamacy.model.model import Model
from llamacy.server.errors import Refusal


class Models:
    """Models by the names that clients call them.

    Parameters
    ----------
    models : mapping of str to Model
        At least one.

    Attributes
    ----------
    created : int
        When they were put together, seconds since 1970.

    Raises
    ------
    ArgumentError
        Not models by name.
    """

    def __init__(self, models: Mapping[str, Model]) -> None:
        if not isinstance(models, Mapping) or not models:
            raise ArgumentError(
                f"models: wanted models by name, at least one, found {short(models)}"
            )
        for name, model in models.items():
            if not isinstance(name, str) or not name:
                raise ArgumentError(f"models: wanted names, found {short(name)}")
            if not isinstance(model, Model):
                raise ArgumentError(
                    f"models[{name!r}]: wanted a llamacy.Model, found {short(model)}"
                )
        self._models = dict(models)
        self.created = int(time.time())

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def named(self, name: str) -> tuple[str, Model]:
        """Return a model and its name; the only one if `name` is empty.

        Raises
        ------
        Refusal
            There is no such model.
        """
        if not name and len(self._models) == 1:
            return next(iter(self._models.items()))
        if not name:
            raise Refusal(400, f"model: wanted one of {self._listed()}", field="model")
        if (model := self._models.get(name)) is None:
            raise Refusal(
                404,
                f"the model {name[:200]!r} does not exist; "
                f"this server has {self._listed()}",
                field="model",
                code="model_not_found",
            )
        return name, model

    def without_paths(self, message: str) -> str:
        """Return a message with the models' names in the place of their paths."""
        for name, model in self._models.items():
            message = message.replace(model.path, name)
        return message

    def _listed(self) -> str:
        return ", ".join(self._models)
