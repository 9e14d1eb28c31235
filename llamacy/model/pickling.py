"""A model in pickle, for other processes: its source and options, not its weights.

Multiprocessing, joblib, Ray and Spark send with pickle whatever a function uses, often
once a task. The other process loads the model from its source, and only once: the last
model that came out of pickle stays there, and is what equal pickles give.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from llamacy.errors import FormatError
from llamacy.model.adapters import Adapter

if TYPE_CHECKING:
    from llamacy.model.model import Model


class Recipe(NamedTuple):
    """The source and the options that make a model again.

    Attributes
    ----------
    source : str
        An absolute path, a name on the hub, or ``"demo"``.
    options : tuple of (str, value)
        Options of `llamacy.load` as they were given.
    fingerprint : str
        Digest of the model's file.
    adapters : tuple of Adapter
        The LoRA adapters in use.
    """

    source: str
    options: tuple[tuple[str, Any], ...]
    fingerprint: str
    adapters: tuple[Adapter, ...] = ()


def lasting_source(source: str | os.PathLike[str], path: str | os.PathLike[str]) -> str:
    """Return a source that another process finds, in whichever folder it runs.

    Parameters
    ----------
    source : str or os.PathLike
        The source as it was given: a path or a name.
    path : str or os.PathLike
        The path that was found.
    """
    absolute = os.path.abspath(path)
    return absolute if os.path.abspath(source) == absolute else os.fspath(source)


def load_again(recipe: Recipe) -> Model:
    """Load the model of a recipe.

    Raises
    ------
    FormatError
        The source has another model by now; other errors are those of `llamacy.load`.
    """
    from llamacy.model.loading import load

    adapters = [(os.path.abspath(path), scale) for path, scale in recipe.adapters]
    model = load(recipe.source, lora=adapters, **dict(recipe.options))
    made = model.recipe
    if made is None or made.fingerprint != recipe.fingerprint:
        model.close()
        wanted = "the model that was pickled or copied"
        raise FormatError(recipe.source, "file", wanted, "another model")
    return model


def unpickle(recipe: Recipe) -> Model:
    """Return the model of a recipe, which this process may have already."""
    with _lock:
        last = _last[0] if _last else None
        if last is not None and not last.is_closed and last.recipe == recipe:
            return last
        _last.clear()  # first, so that both need not fit into memory
        _last.append(load_again(recipe))
        return _last[0]


_lock = threading.Lock()
_last: list[Model] = []
