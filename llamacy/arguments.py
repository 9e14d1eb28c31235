"""Arguments checked: each error names the argument, what was wanted, what was found."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import ArgumentError

LIMIT = 1e30
"""Most that an option may be: far beyond any use, far from overflowing a float32."""


def checked_integer(name: str, value: object, low: int, high: int | None = None) -> int:
    """Return the argument `name`'s `value` as int.

    Raises
    ------
    ArgumentError : not an integer, or out of range.
    """
    if isinstance(value, Integral) and not isinstance(value, bool):
        number = int(value)
        if low <= number and (high is None or number <= high):
            return number
    span = f"of at least {low}" if high is None else f"from {low} to {high}"
    raise ArgumentError(f"{name}: wanted an integer {span}, found {value!r}")


def checked_number(
    name: str, value: object, low: float = 0.0, high: float | None = None
) -> float:
    """Return the argument `name`'s `value` as float.

    Raises
    ------
    ArgumentError : not a finite number, or out of range.
    """
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:  # of an int with hundreds of digits
            number = math.inf
        fits = low <= number and (high is None or number <= high)
        if fits and math.isfinite(number):
            return number
    span = f"of at least {low:g}" if high is None else f"from {low:g} to {high:g}"
    if low == -math.inf:
        span = ""
    wanted = f"a finite number {span}".rstrip()
    raise ArgumentError(f"{name}: wanted {wanted}, found {value!r}")


def checked_flag(name: str, value: object) -> bool:
    """Return the argument `name`'s `value`, which is True or False.

    Raises
    ------
    ArgumentError : it is something else.
    """
    if not isinstance(value, bool):
        raise ArgumentError(f"{name}: wanted True or False, found {value!r}")
    return value


def check_callback(name: str, value: object) -> None:
    """Check that the argument `name`'s `value` can be called, or is None.

    Raises
    ------
    ArgumentError : it cannot.
    """
    if value is not None and not callable(value):
        raise ArgumentError(f"{name}: wanted a callable, found {value!r}")


def checked_strings(name: str, value: object) -> tuple[str, ...]:
    """Return a string, or several, as a tuple; none for None.

    Raises
    ------
    ArgumentError : not a string or strings, or an empty one.
    """
    if value is None:
        return ()
    texts = tuple(value) if isinstance(value, Collection) else (value,)
    if isinstance(value, str):
        texts = (value,)
    for text in texts:
        if not isinstance(text, str) or not text:
            raise ArgumentError(f"{name}: wanted non-empty strings, found {text!r}")
    return texts


def checked_bias(name: str, value: object) -> tuple[tuple[int, float], ...]:
    """Return a mapping of token ids to biases as pairs; none for None.

    Raises
    ------
    ArgumentError : no mapping, or not of ids to numbers below infinity.
    """
    if value is None:
        return ()
    # as it comes back from a SamplingParams that is copied with changes
    pairs = value if isinstance(value, tuple) else ()
    if isinstance(value, Mapping):
        pairs = tuple(value.items())
    elif not isinstance(value, tuple):
        raise ArgumentError(f"{name}: wanted token ids with biases, found {value!r}")
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise ArgumentError(f"{name}: wanted pairs of id and bias, found {pair!r}")
    return tuple((checked_integer(name, i, 0), _bias(name, x)) for i, x in pairs)


def _bias(name: str, value: object) -> float:
    if value == -math.inf:  # never to be chosen
        return -math.inf
    return checked_number(name, value, -LIMIT, LIMIT)


LogitsProcessor = Callable[[NDArray[np.int32], NDArray[np.float32]], Any]
"""Called with the tokens so far, and a row of logits that it may change or replace."""


def checked_processors(name: str, value: object) -> tuple[LogitsProcessor, ...]:
    """Return a callable, or several, as a tuple; none for None.

    Raises
    ------
    ArgumentError : something that cannot be called.
    """
    if value is None:
        return ()
    processors = tuple(value) if isinstance(value, Sequence) else (value,)
    for processor in processors:
        if not callable(processor):
            raise ArgumentError(f"{name}: wanted callables, found {processor!r}")
    return processors
