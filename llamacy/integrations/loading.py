"""The model behind an adapter: loaded from a path or a name, or given."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakValueDictionary

from pydantic import ConfigDict, Field, PrivateAttr, model_validator

import llamacy
from llamacy import ArgumentError, ClosedError
from llamacy.arguments import unknown_options
from llamacy.integrations.fields import LoadFields, SamplingFields

if TYPE_CHECKING:
    from llamacy import Model

_loaded: WeakValueDictionary[tuple[object, ...], Model] = WeakValueDictionary()


def load_shared(source: str | os.PathLike[str], options: dict[str, Any]) -> Model:
    """Load a model, or return the one in use that was loaded from the same source.

    Libraries copy their adapters, or make several for one model; its weights are in
    memory once. They are freed when the last adapter is. Two threads that ask for a
    model in the same moment may both load it; one copy is freed at once.

    Parameters
    ----------
    source : str or os.PathLike
        A path or a name, as for `llamacy.load`.
    options : dict
        Options of `llamacy.load`.

    Raises
    ------
    LlamacyError
        As `llamacy.load`.
    """
    key = (str(source), *sorted(options.items()))
    model = _loaded.get(key)
    if model is None or not _is_open(model):
        model = llamacy.load(source, **options)
        _loaded[key] = model
    return model


def name_of(model: Model) -> str:
    """Return a model's own name, or its file's."""
    return model.config.name or os.path.basename(model.path)


def _is_open(model: Model) -> bool:
    try:
        return model.engine is not None
    except ClosedError:
        return False


class HeldModel(LoadFields):
    """The fields of an adapter: a model, and how to load it.

    Attributes
    ----------
    model : str, os.PathLike or Model
        A path or a name, as for `llamacy.load`, or a model that is loaded.
    """

    model_config = ConfigDict(extra="forbid")  # a slip of the pen is an error

    model: Any = Field(
        exclude=True, description="A path or a name, or a model that is loaded"
    )
    _held: Any = PrivateAttr(None)

    @property
    def loaded(self) -> Model:
        """The model in memory."""
        if self._held is None:
            self._held = self._load()
        model: Model = self._held
        return model

    def _load(self) -> Model:
        options = self.load_options()
        if not isinstance(self.model, llamacy.Model):
            return load_shared(self.model, options)
        for name, value in options.items():
            raise ArgumentError(
                f"{name}: wanted None, as the model is loaded, found {value!r}"
            )
        model: Model = self.model
        return model

    def __getstate__(self) -> dict[Any, Any]:
        """Return the state for a pickle, whose reader loads the model again."""
        state = super().__getstate__()
        private = {**(state["__pydantic_private__"] or {}), "_held": None}
        return {**state, "__pydantic_private__": private}

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Return a copy with the same model in memory."""
        memo = {} if memo is None else memo
        memo.update({id(each): each for each in (self._held, self.model)})
        return super().__deepcopy__(memo)

    @model_validator(mode="before")
    @classmethod
    def _check_names(cls, given: Any) -> Any:
        # before pydantic, which would not say which field was meant
        if isinstance(given, dict):
            fields = cls.model_fields
            aliases = {field.alias for field in fields.values()} - {None}
            if unknown := [name for name in given if name not in {*fields, *aliases}]:
                raise unknown_options(unknown, sorted(fields))
        return given

    @model_validator(mode="after")
    def _load_now(self) -> Self:
        assert self.loaded
        return self


class LoadedModel(SamplingFields, HeldModel):
    """The fields of an adapter that generates: a model, and how to sample."""

    @property
    def model_name(self) -> str:
        """The model's own name, or its file's."""
        return name_of(self.loaded)
