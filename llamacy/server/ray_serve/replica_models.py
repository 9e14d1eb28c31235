"""The models of a deployment, as each replica loads them."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from llamacy.arguments import checked_integer, is_path, short, unknown_options
from llamacy.errors import ArgumentError, NotPicklableError
from llamacy.generation.scheduler import N_ACTIVE
from llamacy.hub.names import parse_name
from llamacy.model.loading import load
from llamacy.model.model import Model
from llamacy.model.pickling import Recipe, load_again
from llamacy.model_files.inspecting import inspect as look_at
from llamacy.model_files.missing import check_exists
from llamacy.model_files.sources import DEMO
from llamacy.server.ray_serve.nodes import check_on_nodes

_OTHER_OPTIONS: Final = ("source", "progress", "max_waiting")  # of `load`


class ReplicaModel(NamedTuple):
    """A model that each replica loads.

    Attributes
    ----------
    source : str or Recipe
        A path that all nodes have, or a name; or the recipe of a model.
    options : dict
        Options of `llamacy.load`, beside the recipe's.
    """

    source: str | Recipe
    options: dict[str, Any]

    def load(self) -> Model:
        """Load the model.

        Raises
        ------
        LlamacyError
            It cannot be loaded, or is another one than that of the recipe.
        """
        if isinstance(self.source, str):
            return load(self.source, **self.options)
        options = {**dict(self.source.options), **self.options}
        return load_again(self.source._replace(options=tuple(options.items())))


def replica_models(
    model: Model | str | os.PathLike[str] | Mapping[str, Any],
    load_options: Mapping[str, Any] | None,
    max_waiting: int,
) -> dict[str, ReplicaModel]:
    """Return the models of a deployment by the names that clients call them.

    Parameters
    ----------
    model : Model, path or name, or mapping of str to these
        As for `deployment`.
    load_options : mapping of str to any, optional
        Options of `llamacy.load`.
    max_waiting : int
        Most requests that may wait.

    Raises
    ------
    ArgumentError
        There are no models, or unknown options.
    LlamacyError
        There is no model at a path; or one was not made by `llamacy.load`.
    """
    options = _checked_options(load_options)
    named = dict(model.items() if isinstance(model, Mapping) else _named(model))
    if not named or not all(isinstance(name, str) and name for name in named):
        wanted = "a model, a path or a name, or some of these by their names"
        raise ArgumentError(f"model: wanted {wanted}, found {short(model)}")
    options["max_waiting"] = max_waiting
    return {name: _replica_model(each, options) for name, each in named.items()}


def n_threads_of(found: Mapping[str, ReplicaModel]) -> int | None:
    """Return the most threads that a model was told to compute with."""
    given = []
    for _, (source, options) in found.items():
        recipe = {} if isinstance(source, str) else dict(source.options)
        given.append(options.get("n_threads", recipe.get("n_threads")))
    return max((each for each in given if each is not None), default=None)


def check_options(name: str, given: object) -> None:
    """Check that an argument has options by their names.

    Raises
    ------
    ArgumentError
        It is of another kind.
    """
    if not isinstance(given, Mapping) or not all(isinstance(k, str) for k in given):
        wanted = "options by their names"
        raise ArgumentError(f"{name}: wanted {wanted}, found {short(given)}")


def _named(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield a model, and the name that `llamacy serve` would give it."""
    source = model.path if isinstance(model, Model) else model
    if not is_path(source) or not os.fspath(source):
        return
    name = os.fsdecode(source)
    if name.endswith(".gguf") or os.path.exists(name):
        name = Path(name).resolve().name.removesuffix(".gguf")
    yield name, model


def _replica_model(model: Any, options: dict[str, Any]) -> ReplicaModel:
    if isinstance(model, Model):
        if model.recipe is None:
            raise NotPicklableError(
                "model: wanted one that llamacy.load made, or its path"
            )
        own = dict(model.recipe.options)
        return ReplicaModel(model.recipe, _with_places(options, own))
    if not is_path(model) or not os.fspath(model):
        wanted = "a llamacy.Model, a path or a name"
        raise ArgumentError(f"model: wanted {wanted}, found {short(model)}")
    return ReplicaModel(_lasting(model), _with_places(options, {}))


def _with_places(options: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Return options that say how many texts a model writes together.

    Parameters
    ----------
    options : dict
        Options of `llamacy.load`.
    own : dict
        Options that the model was loaded with.
    """
    given = {**own, **options}
    n_active = given.get("max_active")
    if n_active is None:
        n_batch = checked_integer("n_batch", given.get("n_batch", N_ACTIVE), 1)
        n_active = min(N_ACTIVE, n_batch)
    return {**options, "max_active": checked_integer("max_active", n_active, 1)}


def _lasting(model: str | os.PathLike[str]) -> str:
    """Return a source that means the same on other nodes.

    A file that is here is looked at; one that is not may be on the cluster's nodes.
    """
    source = os.fspath(model)
    if isinstance(model, str) and not os.path.exists(source):
        if source == DEMO or source.startswith("~") or parse_name(source):
            return source
    absolute = os.path.abspath(source)
    if os.path.isabs(source) and not os.path.exists(source):
        check_on_nodes(absolute)
    else:
        check_exists(source)
        look_at(Path(absolute))
    return absolute


def _checked_options(given: Mapping[str, Any] | None) -> dict[str, Any]:
    if given is None:
        return {}
    check_options("load_options", given)
    parameters = inspect.signature(load).parameters
    known = [name for name in parameters if name not in _OTHER_OPTIONS]
    if not given.keys() <= {*known}:
        raise unknown_options(given, known)
    return dict(given)
