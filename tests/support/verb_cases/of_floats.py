"""The verbs of float32 in NumPy: a function for each, which yields its cases."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from tests.support.verb_cases.inputs import (
    F32,
    Case,
    binary,
    bytes_of,
    floats,
    from_bf16,
    pairs,
    unary,
    words,
)
from tests.support.verbs import Verbs


def f_zero(_: Verbs) -> Iterator[Case]:
    yield Case((), np.zeros(16, F32))


def f_set1(_: Verbs) -> Iterator[Case]:
    return (Case((x,), np.full(16, x, F32)) for x in floats()[0])


def f_load(_: Verbs) -> Iterator[Case]:
    return unary(lambda x: x)


def f_store(_: Verbs) -> Iterator[Case]:
    return unary(lambda x: x)


def f_load_f16(_: Verbs) -> Iterator[Case]:
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    return (Case((h,), h.astype(F32)) for h in halves.reshape(-1, 16))


def f_load_bf16(_: Verbs) -> Iterator[Case]:
    halves = np.arange(1 << 16, dtype=np.uint16)
    return (Case((h,), from_bf16(h)) for h in halves.reshape(-1, 16))


def f_load_i8(_: Verbs) -> Iterator[Case]:
    return (Case((x,), x.view(np.int8).astype(F32)) for x in bytes_of(16))


def f_load_u8(_: Verbs) -> Iterator[Case]:
    return (Case((x,), x.astype(F32)) for x in bytes_of(16))


def f_load_u4(_: Verbs) -> Iterator[Case]:
    for shift in (0, 4):
        for x in bytes_of(16):
            yield Case((x,), (x >> shift & 15).astype(F32), (shift,))


def f_add(_: Verbs) -> Iterator[Case]:
    return binary(np.add)


def f_sub(_: Verbs) -> Iterator[Case]:
    return binary(np.subtract)


def f_mul(_: Verbs) -> Iterator[Case]:
    return binary(np.multiply)


def f_div(_: Verbs) -> Iterator[Case]:
    return binary(np.divide)


def f_max(_: Verbs) -> Iterator[Case]:
    """The second where either is NaN: `digit` of quantize.pxi clamps NaN by that."""
    return binary(lambda x, y: np.where(x > y, x, y))


def f_min(_: Verbs) -> Iterator[Case]:
    return binary(lambda x, y: np.where(x < y, x, y))


def f_abs(_: Verbs) -> Iterator[Case]:
    return unary(np.abs)


def f_fma(_: Verbs) -> Iterator[Case]:
    for x, y in pairs(finite=True):
        x, y = np.clip(x, -1e15, 1e15), np.clip(y, -1e15, 1e15)
        z = np.roll(y, 3)
        exact = x.astype(np.float64) * y + z
        size = np.abs(x.astype(np.float64) * y) + np.abs(z)
        yield Case((x, y, z), exact.astype(F32), scale=size)


def f_fnma(_: Verbs) -> Iterator[Case]:
    for case in f_fma(_):
        x, y, z = case.inputs
        exact = z - x.astype(np.float64) * y
        yield Case((x, y, z), exact.astype(F32), scale=case.scale)


def f_round(_: Verbs) -> Iterator[Case]:
    for x in (*floats(finite=True), np.arange(16, dtype=F32) / 2 - F32(3.5)):
        x = np.clip(x, -(2**22), 2**22)
        yield Case((x,), np.rint(x))


def f_scale2(_: Verbs) -> Iterator[Case]:
    for x in floats():
        for exponent in (-252, -149, -127, -1, 0, 1, 127, 128, 254):
            expected = np.ldexp(x.astype(np.float64), exponent).astype(F32)
            yield Case((x, np.full(16, exponent, F32)), expected)


def f_load_e8m0(_: Verbs) -> Iterator[Case]:
    exponents = np.arange(256, dtype=np.uint8).reshape(-1, 16)
    return (
        Case((e,), np.ldexp(1.0, e.astype(int) - 128).astype(F32)) for e in exponents
    )


def f_load_e5m3(_: Verbs) -> Iterator[Case]:
    bytes_ = np.arange(256, dtype=np.uint8).reshape(-1, 16)
    halves = (bytes_.astype(np.uint16) << 7).view(np.float16)
    return (
        Case((x,), half.astype(F32)) for x, half in zip(bytes_, halves, strict=True)
    )


def f_sum(_: Verbs) -> Iterator[Case]:
    for x in floats(finite=True):
        x = np.clip(x, -1e30, 1e30)
        exact = np.sum(x, dtype=np.float64)
        yield Case((x,), np.array([exact], F32), scale=np.sum(np.abs(x), dtype=float))


def f_hmax(_: Verbs) -> Iterator[Case]:
    for x in (*floats(finite=True), -np.abs(floats(finite=True)[-1])):
        yield Case((x,), np.array([x.max()]))


def f_swap_pairs(_: Verbs) -> Iterator[Case]:
    return unary(lambda x: x.reshape(8, 2)[:, ::-1].reshape(-1))


def f_turn(_: Verbs) -> Iterator[Case]:
    x = np.arange(256, dtype=np.uint32) * 0x01020305 + 0x7F800001  # NaN among them
    rows = x.view(F32).reshape(16, 16)
    yield Case((rows,), rows.T.copy().view(np.uint32).reshape(-1))


def f_first(_: Verbs) -> Iterator[Case]:
    """Tails: every number of lanes."""
    x, y = floats()[-1], np.full(16, -np.inf, F32)
    for count in range(17):
        expected = np.where(np.arange(16) < count, x, y)
        yield Case((x, y), expected, (count,))


def f_from_i(_: Verbs) -> Iterator[Case]:
    return (Case((x,), x.astype(F32)) for x in words())


def f_store_f16(_: Verbs) -> Iterator[Case]:
    halves = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float64)
    middles = (halves[:-1] + halves[1:]) / 2  # between neighbours: ties
    for x in (*np.resize(middles, (len(middles) // 16 + 1, 16)), *floats()):
        for each in (x.astype(F32), -x.astype(F32)):
            yield Case((each,), each.astype(np.float16))


def f_store_i8(_: Verbs) -> Iterator[Case]:
    steps = np.arange(-160, 160, dtype=F32).reshape(-1, 16)
    ties = (steps + F32(0.5)).astype(F32)
    for x in (*steps, *ties, *(np.clip(v, -4e6, 4e6) for v in floats(finite=True))):
        yield Case((x,), np.clip(np.rint(x), -128, 127).astype(np.int8))


CASES: dict[str, Callable[[Verbs], Iterator[Case]]] = {
    case.__name__: case
    for case in (
        *(f_zero, f_set1, f_load, f_load_f16, f_load_bf16, f_load_i8, f_load_u8),
        *(f_load_u4, f_add, f_sub, f_mul, f_div, f_max, f_min, f_abs, f_fma, f_fnma),
        *(f_round, f_scale2, f_load_e8m0, f_load_e5m3, f_sum, f_hmax),
        *(f_swap_pairs, f_turn, f_first, f_from_i, f_store, f_store_f16, f_store_i8),
    )
}
