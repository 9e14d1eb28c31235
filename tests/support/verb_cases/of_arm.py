"""Verbs that only levels of ARM have, in NumPy: a function for each yields cases."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from tests.support.verb_cases.inputs import (
    F32,
    Array,
    Case,
    bytes_of,
    floats,
    rng,
    words,
)
from tests.support.verbs import Verbs


def f_from_sum(_: Verbs) -> Iterator[Case]:
    for x in words():
        sums = x.astype(np.int32) >> 10
        yield Case((sums,), sums.astype(F32))


def joined(a: Array, b: Array) -> Array:
    """16 outputs of two rows in the lanes of sums: (32,), low and high halves."""
    return np.stack([a.reshape(8, 2), b.reshape(8, 2)], axis=1).reshape(-1)


def p_join(_: Verbs) -> Iterator[Case]:
    for x in floats():
        yield Case((x, np.roll(x, 3)), joined(x, np.roll(x, 3)))


def p_part(_: Verbs) -> Iterator[Case]:
    for x in floats():
        rows = np.concatenate([x, np.roll(x, 5)])
        yield Case(tuple(joined(rows[:16], rows[16:]).reshape(2, 16)), rows)


def p_codes(_: Verbs) -> Iterator[Case]:
    for zero in (0, 8, 32):
        for x in bytes_of():
            chunks = np.stack([x, x[::-1]])
            columns = chunks.reshape(2, 16, 4).transpose(1, 0, 2)  # of each output
            expected = (columns.astype(int) - zero & 255).astype(np.uint8)
            yield Case((chunks[0], chunks[1]), expected.reshape(-1), (zero,))


def p_values(_: Verbs) -> Iterator[Case]:
    for x in floats():
        yield Case((x[:4],), np.tile(x[:4], 4))


def p_dots(_: Verbs) -> Iterator[Case]:
    """Codes (8 outputs, 8 columns) and activations (2 rows, 8 columns)."""
    limits = [(low, high) for low in (-128, 127) for high in (-127, 127)]
    inputs = [(np.full((8, 8), code), np.full((2, 8), x)) for code, x in limits]
    for column in range(8):
        x = np.zeros((2, 8), int)
        x[:, column] = 1, 2
        inputs.append((rng().integers(-128, 128, (8, 8)), x))
    inputs.append(
        (rng().integers(-128, 128, (8, 8)), rng().integers(-127, 128, (2, 8)))
    )
    for codes, x in inputs:
        before = rng().integers(-(2**20), 2**20, 16).astype(np.int32)
        sums = (codes @ x.T).reshape(4, 2, 2).transpose(0, 2, 1).reshape(-1)
        arrays = (codes & 255).astype(np.uint8), x.astype(np.int8)
        yield Case(arrays, (before + sums).astype(np.int32), before=before)


CASES: dict[str, Callable[[Verbs], Iterator[Case]]] = {
    "p_start": f_from_sum,
}
CASES |= {
    case.__name__: case
    for case in (f_from_sum, p_join, p_part, p_codes, p_values, p_dots)
}
