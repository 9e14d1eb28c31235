"""The prompts that a caller gave: one, or any number of them.

Lists, tuples, arrays, columns of a data frame, generators: anything in an order holds
prompts, unless it is one prompt itself, as a list of token ids is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from itertools import chain, islice
from numbers import Integral
from typing import Any, NamedTuple, NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llamacy.arguments import short
from llamacy.errors import ArgumentError

Prompt: TypeAlias = "str | Sequence[int] | NDArray[np.integer[Any]]"
"""A text, or its token ids."""

Prompts: TypeAlias = "Iterable[str | Sequence[int]]"
"""Several prompts, each a text or token ids."""

_BYTES = (bytes, bytearray, memoryview)
_UNORDERED = (Mapping, set, frozenset)
_KINDS_OF_ITEMS = "iuOUT"  # NumPy's letters: integers, objects, both kinds of strings


class Kind(NamedTuple):
    """A kind of argument that may be given once, or several times in an iterable.

    Attributes
    ----------
    one : str
        The argument's name, for errors.
    several : str
        The name of several.
    wanted : str
        A description of one, for errors.
    is_one : callable
        Whether a sequence is a single one.
    """

    one: str
    several: str
    wanted: str
    is_one: Callable[[Sequence[Any]], bool]

    def refuse(self, value: object, found: str = "") -> NoReturn:
        """Raise the error that `value` is neither one nor several."""
        found = found or short(value)
        raise ArgumentError(f"{self.one}: wanted {self.wanted}, found {found}")


def _are_ids(items: Sequence[Any]) -> bool:
    return bool(items) and all(isinstance(item, Integral) for item in items)


PROMPTS = Kind("prompt", "prompts", "text or token ids", _are_ids)
TEXTS = Kind("text", "texts", "text or token ids", _are_ids)


class Given(NamedTuple):
    """Prompts as they were given.

    Attributes
    ----------
    items : iterable
        The prompts, each still to be checked.
    kind : Kind
        The kind of argument.
    is_one : bool
        Whether it was a single prompt, and not an iterable of prompts.
    """

    items: Iterable[Any]
    kind: Kind
    is_one: bool = False

    @property
    def n(self) -> int | None:
        """Number of prompts; None if only its end tells."""
        return len(self.items) if isinstance(self.items, Sized) else None

    def place(self, index: int) -> str:
        """Return the name of one of the prompts, for errors."""
        return self.kind.one if self.is_one else f"{self.kind.several}[{index}]"


def given(value: object, kind: Kind, *, lazy: bool = False) -> Given:
    """Return one prompt, or all prompts of an iterable.

    Parameters
    ----------
    value : object
        The argument.
    kind : Kind
        The kind of argument.
    lazy : bool, default False
        Whether an iterable of unknown length is left to be read, which otherwise is
        read to its end.

    Raises
    ------
    ArgumentError
        Neither one nor an iterable of several, or one without an order.
    """
    if isinstance(value, str):
        return Given([value], kind, is_one=True)
    items = _iterable(value, kind)
    if lazy and not isinstance(items, Sized):
        items = iter(items)
        begin = list(islice(items, 1))
        if not _are_ids(begin):
            return Given(chain(begin, items), kind)
        items = chain(begin, items)
    if not isinstance(items, Sequence):
        items = list(items)
    is_one = kind.is_one(items)
    return Given([items] if is_one else items, kind, is_one)


def given_several(value: object, kind: Kind) -> Given:
    """Return prompts, to be taken from their iterable one by one.

    Raises
    ------
    ArgumentError
        Not an iterable of several, or one without an order.
    """
    several = kind._replace(one=kind.several)  # the name of the argument
    items = value if isinstance(value, str) else _iterable(value, several)
    if isinstance(items, str) or (isinstance(items, Sequence) and kind.is_one(items)):
        raise ArgumentError(
            f"{kind.several}: wanted an iterable of them, found a single one: "
            f"{short(value)}"
        )
    return Given(items, kind)


def _iterable(value: object, kind: Kind) -> Iterable[Any]:
    if hasattr(type(value), "__array__"):  # of NumPy, pandas, Polars, PyTorch ...
        return _items_of_array(value, kind)
    if isinstance(value, _BYTES) or not isinstance(value, Iterable):
        kind.refuse(value)
    if isinstance(value, _UNORDERED):
        raise ArgumentError(
            f"{kind.one}: wanted {kind.wanted}, or a list of several, "
            f"found a {type(value).__name__}"
        )
    return value


def _items_of_array(value: object, kind: Kind) -> list[Any]:
    """Return the items of one dimension, or the rows of integers in two."""
    array = np.asarray(value)
    if array.ndim == 1 and (array.dtype.kind in _KINDS_OF_ITEMS or not array.size):
        items: list[Any] = array.tolist()
        return items
    if array.ndim == 2 and array.dtype.kind in "iu":
        return list(array)
    if array.ndim == 0:
        kind.refuse(value)
    kind.refuse(value, f"an array of {array.dtype}, shape {array.shape}")
