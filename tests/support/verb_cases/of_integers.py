"""The verbs of integers in NumPy: a function for each, which yields its cases."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from tests.support.verb_cases.inputs import (
    F32,
    Array,
    Case,
    bf16,
    bytes_of,
    floats,
    from_bf16,
    one_hot,
    rng,
    words,
)
from tests.support.verbs import Verbs


def i_load(_: Verbs) -> Iterator[Case]:
    return (Case((x,), x) for x in bytes_of())


def i_zero(_: Verbs) -> Iterator[Case]:
    yield Case((), np.zeros(64, np.uint8))


def i_or(_: Verbs) -> Iterator[Case]:
    return (Case((x, y), x | y) for x in bytes_of()[:8] for y in bytes_of()[:8])


def i_field(_: Verbs) -> Iterator[Case]:
    for shift in range(-7, 8):
        room = 0xFF >> shift if shift >= 0 else 0xFF << -shift & 0xFF
        for mask in {room, room & 0x0F, room & 0x33, room & 0x80}:
            for x in bytes_of()[:5]:
                wide = x.astype(int)
                moved = wide >> shift if shift >= 0 else wide << -shift
                yield Case((x,), (moved & mask).astype(np.uint8), (shift, mask))


def i_insert(_: Verbs) -> Iterator[Case]:
    for shift in range(-6, 7):
        room = 0xFF >> shift if shift >= 0 else 0xFF << -shift & 0xFF
        mask = room & 0x30
        for x in bytes_of()[:5]:
            for y in bytes_of()[3:6]:
                rest = x & (255 - mask)
                wide = y.astype(int)
                moved = wide >> shift if shift >= 0 else wide << -shift
                expected = (rest | moved & mask).astype(np.uint8)
                yield Case((rest.astype(np.uint8), y), expected, (shift, mask))


def i_lut(_: Verbs) -> Iterator[Case]:
    table = rng().integers(-128, 128, 16).astype(np.int8)
    return (Case((x, table), table[x].view(np.uint8)) for x in bytes_of(high=16))


def i_bytes(verbs: Verbs) -> Iterator[Case]:
    for x in bytes_of():
        yield Case((x,), (x.astype(int) + verbs.byte_zero & 255).astype(np.uint8))


def i_add(_: Verbs) -> Iterator[Case]:
    for x in words()[1:]:
        for y in words()[1:]:
            yield Case((x // 2, y // 2), x // 2 + y // 2)


def i_shl(_: Verbs) -> Iterator[Case]:
    for n in range(9):
        for x in words()[1:]:
            x = x >> 9
            yield Case((x,), x << n, (n,))


def i_start(_: Verbs) -> Iterator[Case]:
    for n in range(9):
        for value in (0, 1, -1, 4064, -4064, 100_000):
            start = np.array([value], np.int32)
            yield Case((start,), np.full(16, value << n, np.int32), (n,))


def i_dots(verbs: Verbs) -> Iterator[Case]:
    for rows in {1, verbs.dot_rows}:
        for n_chunks in (4, 8):
            for bits in (2, 3, 4, 5, 6, 8):
                for codes, x in dot_inputs(rows, n_chunks, bits):
                    yield dots_case(verbs, rows, n_chunks, bits, codes, x)


def dot_inputs(rows: int, n_chunks: int, bits: int) -> Iterator[tuple[Array, Array]]:
    """Codes (n_chunks, 16, 4) and activations (rows, n_chunks * 4)."""
    low, high = (-128, 127) if bits == 8 else (0, 2**bits - 1)
    shape, row = (n_chunks, 16, 4), (rows, 4 * n_chunks)
    for value in (-127, 127):  # no sum may overflow
        yield np.full(shape, high), np.full(row, value)
        yield np.full(shape, low), np.full(row, value)
    yield rng().integers(low, high + 1, shape), rng().integers(-127, 128, row)
    for column in range(4 * n_chunks):  # one-hot
        codes = rng().integers(low, high + 1, shape)
        x = np.zeros(row, int)
        x[:, column] = 1 + np.arange(rows)
        yield codes, x


def dots_case(
    verbs: Verbs, rows: int, n_chunks: int, bits: int, codes: Array, x: Array
) -> Case:
    step = 48
    stored = codes + verbs.byte_zero if bits == 8 else codes
    activations = np.full((rows, step), 111, np.int8)
    activations[:, : 4 * n_chunks] = x
    before = rng().integers(-(2**20), 2**20, (rows, 16)).astype(np.int32)
    added = np.einsum("cnj,tcj->tn", stored, x.reshape(rows, n_chunks, 4))
    return Case(
        ((stored & 255).astype(np.uint8), activations),
        (before + added).reshape(-1).astype(np.int32),
        (rows, n_chunks, step, bits),
        before,
    )


def w_store(verbs: Verbs) -> Iterator[Case]:
    order = [4 * c + column for c in range(8) for column in verbs.columns]
    for q in (*bytes_of(32)[:5], *one_hot(np.uint8, 32, 0x81)):
        q = np.maximum(q.view(np.int8), -127)
        for fine in (np.roll(q, 5), np.full(32, 127, np.int8), np.zeros(32, np.int8)):
            word = q.astype(np.int16) * 256 + fine
            yield Case((q, fine), word[order])


def w_split(verbs: Verbs) -> Iterator[Case]:
    for codes in bytes_of(64):
        chunk = codes.view(np.int8).reshape(16, 4)[:, verbs.columns]
        words = chunk.reshape(16, 2, 2).transpose(1, 0, 2).astype(np.int16)
        yield Case((codes,), words.reshape(-1))


def w_dots(verbs: Verbs) -> Iterator[Case]:
    step = 40
    for rows, n in itertools.product({1, verbs.dot_rows}, (2, 8, 16)):
        for codes, x in dot_inputs(rows, n // 2, 8):
            x = x * 256 - x // 2
            words = np.full((rows, step), 111, np.int16)
            words[:, : 2 * n] = x
            pairs = codes.transpose(0, 2, 1).reshape(n, 2, 16).transpose(0, 2, 1)
            before = rng().integers(-(2**20), 2**20, (rows, 16)).astype(np.int32)
            added = np.einsum("pnj,tpj->tn", pairs, x.reshape(rows, n, 2))
            yield Case(
                (pairs.astype(np.int16), words),
                (before + added).reshape(-1).astype(np.int32),
                (rows, n, step),
                before,
            )


def h_store(_: Verbs) -> Iterator[Case]:
    for x in floats(finite=True):
        x = np.clip(x, -32767, 32767)
        yield Case((x,), np.rint(x).astype(np.int16))


def h_fix(_: Verbs) -> Iterator[Case]:
    """Columns of different sizes, rows of one column alone and of none."""
    sizes = 2.0 ** rng().integers(-30, 12, (32, 16))
    one_column = np.where(np.arange(32)[:, None] == np.arange(16), 3.75, 0)
    for weights in (sizes * rng().standard_normal((32, 16)), sizes / 2**8, one_column):
        halves = weights.astype(np.float16)
        yield _fixed(0, halves.view(np.uint16), halves)
        for factor in (1.0, 1e30, 1e-30, 1e-38):
            bits = bf16((weights * factor).astype(F32))
            yield _fixed(1, bits, from_bf16(bits))


def _fixed(is_bf16: int, bits: Array, values: Array) -> Case:
    wide = values.astype(np.float64)
    power = np.maximum(np.frexp(np.abs(wide).max(axis=0))[1] - 1.0, -100)
    scale = np.exp2(np.where(wide.any(axis=0), power, -100) - 12)
    words = np.rint(wide / scale).astype(np.int16).reshape(16, 2, 16)
    expected = (words.swapaxes(1, 2).reshape(-1), scale.astype(F32).view(np.int16))
    return Case((bits,), np.concatenate(expected), (is_bf16,))


def h_dots(_: Verbs) -> Iterator[Case]:
    step = 40
    for rows in (1, 4, 16):
        for codes, x in dot_inputs(rows, 8, 8):
            # 2^13 in both, at most: sums of 32 products fit
            weights, row = codes * 64, np.full((rows, step), 111, np.int16)
            row[:, :32] = x = np.clip(x * 65, -8191, 8191)
            before = rng().integers(-1000, 1000, (rows, 16)).astype(np.int32)
            pairs = weights.reshape(8, 16, 2, 2).swapaxes(1, 2)
            added = np.einsum("cnj,tcj->tn", weights, x.reshape(rows, 8, 4))
            total = before + added
            assert (np.abs(total) < 2**31).all()
            yield Case(
                (pairs.astype(np.int16), row),
                total.reshape(-1).astype(np.int32),
                (rows, step),
                before,
            )


def l_sums(_: Verbs) -> Iterator[Case]:
    for one_codes, one_x in dot_inputs(1, 8, 1):
        codes = np.stack([np.roll(one_codes, unit, axis=1) for unit in range(4)])
        x = np.stack([np.roll(one_x, unit) for unit in range(4)]).reshape(4, 8, 4)
        planes = (codes << np.arange(8)[:, None, None]).sum(axis=1).astype(np.uint8)
        before = rng().integers(-(2**20), 2**20, (4, 16)).astype(np.int32)
        added = 2 * np.einsum("ucnj,ucj->un", codes, x)
        expected = (before + added).reshape(-1).astype(np.int32)
        yield Case((planes, x.astype(np.int8)), expected, before=before)


CASES: dict[str, Callable[[Verbs], Iterator[Case]]] = {
    case.__name__: case
    for case in (
        *(i_load, i_zero, i_or, i_field, i_insert, i_lut, i_bytes, i_add, i_shl),
        *(i_start, i_dots, w_store, w_split, w_dots, h_store, h_fix, h_dots, l_sums),
    )
}
