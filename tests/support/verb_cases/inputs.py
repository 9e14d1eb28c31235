"""Calls of verbs, and inputs: one-hot, at limits, not finite, subnormal and random."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

F32 = np.float32
TINY = np.finfo(F32).tiny
SUBNORMAL = np.finfo(F32).smallest_subnormal
HUGE = np.finfo(F32).max


@dataclass(frozen=True)
class Case:
    """One call of a verb, and the result it must have."""

    inputs: tuple[Array, ...]
    expected: Array
    n: tuple[int, ...] = ()
    before: Array | None = None
    scale: Array | float = 1.0  # the sum of the sizes of the summands, for ABOUT


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def one_hot(dtype: Any, size: int, value: float) -> Iterator[Array]:
    for i in range(size):
        x = np.zeros(size, dtype)
        x[i] = value
        yield x


def floats(*, finite: bool = False) -> list[Array]:
    """Vectors of 16: one-hot, limits, special values, random of many sizes."""
    special = [
        0.0,
        -0.0,
        1.0,
        -1.5,
        TINY,
        -TINY,
        SUBNORMAL,
        HUGE,
        -HUGE,
        2.5,
        3.5,
        -0.5,
    ]
    rest = (
        [1e-30, 1e30, 65504.0, -7.0] if finite else [np.nan, np.inf, -np.inf, 65504.0]
    )
    vectors = [np.array(special + rest, F32), *one_hot(F32, 16, 3.25)]
    for size in (1e-20, 1.0, 1e4):
        vectors.append((size * rng().standard_normal(16)).astype(F32))
    return vectors


def pairs(*, finite: bool = False) -> Iterator[tuple[Array, Array]]:
    for x in floats(finite=finite):
        for shift in (0, 1, 5):
            yield x, np.roll(floats(finite=finite)[-2 if shift else 0], shift)
            yield x, np.roll(x, shift)


def bytes_of(size: int = 64, low: int = 0, high: int = 256) -> list[Array]:
    """Vectors of uint8 below `high`: one-hot, limits, all values, random."""
    vectors = [
        np.full(size, high - 1, np.uint8),
        np.full(size, low, np.uint8),
        (low + np.arange(size) % (high - low)).astype(np.uint8),
        (high - 1 - np.arange(size) % (high - low)).astype(np.uint8),
        rng().integers(low, high, size).astype(np.uint8),
    ]
    return [*vectors, *one_hot(np.uint8, size, high - 1)]


def words() -> list[Array]:
    """Vectors of 16 int32: limits, one-hot, random."""
    limits = np.array(
        [0, 1, -1, 2**24, -(2**24), 2**31 - 1, -(2**31), 12345678], np.int32
    )
    return [
        np.tile(limits, 2),
        *one_hot(np.int32, 16, -77),
        rng().integers(-(2**31), 2**31, 16).astype(np.int32),
        rng().integers(-1000, 1000, 16).astype(np.int32),
    ]


def bf16(x: Array) -> Array:
    """Bits of the nearest bfloat16, ties to even; subnormals become 0, NaN stays."""
    bits = x.astype(F32).view(np.uint32)
    rounded = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(x), 0x7FC0, rounded).astype(np.uint16)


def from_bf16(bits: Array) -> Array:
    return (bits.astype(np.uint32) << 16).view(F32)


def unary(function: Callable[[Array], Array]) -> Iterator[Case]:
    return (Case((x,), function(x)) for x in floats())


def binary(function: Callable[[Array, Array], Array]) -> Iterator[Case]:
    return (Case((x, y), function(x, y)) for x, y in pairs())
