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


def joined(rows: Array) -> Array:
    """Outputs (bundle_rows, 16) in the lanes of parts: (bundle_rows, 16)."""
    n = len(rows)  # and outputs of each row that are side by side
    return rows.reshape(n, 16 // n, n).transpose(1, 0, 2).reshape(n, 16)


def bundles(verbs: Verbs) -> Iterator[Array]:
    for x in floats():
        yield np.stack([np.roll(x, 3 * t) for t in range(verbs.bundle_rows)])


def p_join(verbs: Verbs) -> Iterator[Case]:
    for rows in bundles(verbs):
        yield Case((rows,), joined(rows).reshape(-1))


def p_part(verbs: Verbs) -> Iterator[Case]:
    for rows in bundles(verbs):
        yield Case((joined(rows),), rows.reshape(-1))


def p_codes(verbs: Verbs) -> Iterator[Case]:
    n = verbs.bundle_rows
    # smmla reads the columns of an output side by side, sdot those of a chunk
    order = (1, 2, 0, 3) if n == 2 else (1, 0, 2, 3)
    for zero in (0, 8, 32):
        for x in bytes_of():
            chunks = np.stack([np.roll(x, 5 * c) for c in range(n)])
            parts = chunks.reshape(n, n, 16 // n, 4).transpose(order)
            expected = (parts.astype(int) - zero & 255).astype(np.uint8)
            yield Case((chunks,), expected.reshape(-1), (zero,))


def of_rows(verbs: Verbs, values: Array) -> Array:
    """4 numbers in the lanes of their rows."""
    return np.tile(values, 4) if verbs.bundle_rows == 2 else np.repeat(values, 4)


def p_values(verbs: Verbs) -> Iterator[Case]:
    for x in floats():
        yield Case((x[:4],), of_rows(verbs, x[:4]))


def p_outputs(verbs: Verbs) -> Iterator[Case]:
    for x in floats():
        same = joined(np.tile(x, (verbs.bundle_rows, 1)))
        for part in same:
            yield Case((part,), part)


def p_dots(verbs: Verbs) -> Iterator[Case]:
    """Codes (outputs of a part, columns) and activations (rows, columns)."""
    rows = verbs.bundle_rows
    outputs, columns = 16 // rows, 4 * rows
    inputs = [
        (np.full((outputs, columns), code), np.full((rows, columns), x))
        for code in (-128, 127)
        for x in (-127, 127)
    ]
    mixed = rng().integers(-128, 128, (outputs, columns))
    for column in range(columns):
        x = np.zeros((rows, columns), int)
        x[:, column] = range(1, rows + 1)
        inputs.append((mixed, x))
    inputs.append((mixed, rng().integers(-127, 128, (rows, columns))))
    for codes, x in inputs:
        before = rng().integers(-(2**20), 2**20, 16).astype(np.int32)
        sums, stored = x @ codes.T, codes.reshape(-1)
        if rows == 2:  # 2 outputs of each row, four times
            sums = sums.reshape(2, 4, 2).transpose(1, 0, 2)
        else:  # the columns of a chunk side by side
            stored = codes.reshape(4, 4, 4).transpose(1, 0, 2).reshape(-1)
        arrays = (stored & 255).astype(np.uint8), x.astype(np.int8)
        expected = (before + sums.reshape(-1)).astype(np.int32)
        yield Case(arrays, expected, before=before)


def i_bias(_: Verbs) -> Iterator[Case]:
    yield Case((), np.full(16, 0x4B400000, np.int32))


CASES: dict[str, Callable[[Verbs], Iterator[Case]]] = {
    case.__name__: case
    for case in (
        f_from_sum,
        i_bias,
        p_join,
        p_part,
        p_codes,
        p_values,
        p_outputs,
        p_dots,
    )
}
