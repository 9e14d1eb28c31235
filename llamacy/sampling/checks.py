"""Checks of the sampling options that no other part of the package takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from llamacy.arguments import checked_integer, checked_number, short
from llamacy.errors import ArgumentError

LIMIT: Final = 1e30
"""Largest value of an option: far beyond any use, far from overflowing a float32."""

LogitsProcessor = Callable[[NDArray[np.int32], NDArray[np.float32]], Any]
"""Called with the tokens so far, and a row of logits that it may change or replace."""


def checked_bias(name: str, value: object) -> tuple[tuple[int, float], ...]:
    """Return a mapping of token ids to biases as pairs; an empty tuple for None.

    Raises
    ------
    ArgumentError
        Not a mapping, or not from ids to numbers below infinity.
    """
    if value is None:
        return ()
    # pairs are what a SamplingParams holds, and gives when it is copied with changes
    pairs = value if isinstance(value, tuple) else ()
    if isinstance(value, Mapping):
        pairs = tuple(value.items())
    elif not isinstance(value, tuple):
        raise ArgumentError(
            f"{name}: wanted token ids with biases, found {short(value)}"
        )
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise ArgumentError(
                f"{name}: wanted pairs of id and bias, found {short(pair)}"
            )
    return tuple((checked_integer(name, i, 0), _bias(name, x)) for i, x in pairs)


def _bias(name: str, value: object) -> float:
    if isinstance(value, Real) and value == -math.inf:  # bans the token
        return -math.inf
    return checked_number(name, value, -LIMIT, LIMIT)


def checked_processors(name: str, value: object) -> tuple[LogitsProcessor, ...]:
    """Return a callable, or several, as a tuple; an empty one for None.

    Raises
    ------
    ArgumentError
        One of them cannot be called.
    """
    if value is None:
        return ()
    processors = tuple(value) if isinstance(value, Sequence) else (value,)
    for processor in processors:
        if not callable(processor):
            raise ArgumentError(f"{name}: wanted callables, found {short(processor)}")
    return processors
