"""Each verb at each level, against NumPy and against scalar.h.

One function here says what a verb is, for inputs that are one-hot, at the limits of
their type, NaN, infinite, subnormal and random. Verbs are exact unless `ABOUT` has a
bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy import kernels
from llamacy.kernels.cpu import MACHINE
from llamacy.kernels.levels import Level, levels_of
from tests.support.verbs import Verbs

Array = NDArray[Any]

F32 = np.float32
TINY = np.finfo(F32).tiny
SUBNORMAL = np.finfo(F32).smallest_subnormal
HUGE = np.finfo(F32).max

# Bounds relative to the sum of the sizes of the summands: a multiplication and an
# addition round once or twice, by level, and sums may be made in any order.
ABOUT = {
    "f_fma": 1e-6,
    "f_fnma": 1e-6,
    "f_sum": 1e-6,
    "b_dot": 1e-6,
    "b_products": 1e-5,
    "T_DOT": 1e-5,
}


# Levels differ in BYTE_ZERO, and in how often they round.
NOT_OF_SCALAR = {"i_bytes", *ABOUT}


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


# --- what each verb is ----------------------------------------------------------------


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


def w_dots(verbs: Verbs) -> Iterator[Case]:
    step = 40
    for rows in {1, verbs.dot_rows}:
        for codes, x in dot_inputs(rows, 8, 8):
            x = x * 256 - x // 2
            words = np.full((rows, step), 111, np.int16)
            words[:, :32] = x.reshape(rows, 8, 4)[..., verbs.columns].reshape(rows, 32)
            before = rng().integers(-(2**20), 2**20, (rows, 16)).astype(np.int32)
            added = np.einsum("cnj,tcj->tn", codes, x.reshape(rows, 8, 4))
            yield Case(
                ((codes & 255).astype(np.uint8), words),
                (before + added).reshape(-1).astype(np.int32),
                (rows, step),
                before,
            )


def _normal_pairs() -> Iterator[tuple[Array, Array]]:
    """Without what instructions may flush to 0: values whose bfloat16 is subnormal."""
    ties = np.arange(0x3F80, 0x3F90, dtype=np.uint32) << 16 | 0x8000
    vectors = [*floats(), ties.astype(np.uint32).view(F32)]
    for x in vectors:
        x = np.where(np.abs(x) < 2 * TINY, F32(0), x)
        for y in (np.roll(x, 1), x[::-1]):
            yield x, y


def b_join(_: Verbs) -> Iterator[Case]:
    for x, y in _normal_pairs():
        yield Case((x, y), np.concatenate([bf16(x), bf16(y)]))


def b_pairs(_: Verbs) -> Iterator[Case]:
    for x, y in _normal_pairs():
        yield Case((x, y), np.stack([bf16(x), bf16(y)], axis=1).reshape(-1))


def l_sums(_: Verbs) -> Iterator[Case]:
    for one_codes, one_x in dot_inputs(1, 8, 1):
        codes = np.stack([np.roll(one_codes, unit, axis=1) for unit in range(4)])
        x = np.stack([np.roll(one_x, unit) for unit in range(4)]).reshape(4, 8, 4)
        planes = (codes << np.arange(8)[:, None, None]).sum(axis=1).astype(np.uint8)
        before = rng().integers(-(2**20), 2**20, (4, 16)).astype(np.int32)
        added = 2 * np.einsum("ucnj,ucj->un", codes, x)
        expected = (before + added).reshape(-1).astype(np.int32)
        yield Case((planes, x.astype(np.int8)), expected, before=before)


def random_tiles(*shape: int) -> Array:
    return bf16(rng().standard_normal(shape).astype(F32))


def b_dot(_: Verbs) -> Iterator[Case]:
    left, right = random_tiles(16, 2), random_tiles(4, 2)
    before = rng().standard_normal(16).astype(F32)
    ones = [bf16(np.array(pair, F32)) for pair in ([1, 0], [0, 1])]
    for pair in (*right, *ones):
        products = from_bf16(left).astype(np.float64) * from_bf16(pair)
        size = np.abs(products).sum(axis=1) + np.abs(before)
        total = (before + products.sum(axis=1)).astype(F32)
        yield Case((left, pair), total, before=before, scale=size)


def tile_product(a: Array, b: Array) -> Array:
    """(rows, 32) times a tile (16, 32) of pairs, in float64: (rows, 16)."""
    left = from_bf16(a).astype(np.float64).reshape(len(a), 16, 2)
    right = from_bf16(b).astype(np.float64).reshape(16, 16, 2)
    out: Array = np.einsum("rpe,pje->rj", left, right)
    return out


def b_products(_: Verbs) -> Iterator[Case]:
    ldc = 40
    for rows in (4, 8, 16):
        for n in (1, 3):
            for adds in (0, 1):
                a, b = random_tiles(n, 16, 32), random_tiles(2, n, 16, 32)
                before = rng().standard_normal((16, ldc)).astype(F32)
                products = [
                    sum(tile_product(a[i], b[side, i]) for i in range(n))
                    for side in (0, 1)
                ]
                expected = before.astype(np.float64)
                expected[:rows, :32] *= adds
                expected[:, :32] += np.concatenate(products, axis=1)
                numbers = (rows, n, n * 1024, ldc, adds)
                first = expected[:rows, :32].astype(F32)
                yield Case((a, b), first, numbers, before, scale=32.0 * n)


def t_byte(_: Verbs) -> Iterator[Case]:
    for n in range(4):
        for x in bytes_of()[:5]:
            yield Case((x,), x.reshape(16, 4)[:, n].astype(np.int32), (n,))


def eight_tiles(step: int) -> tuple[Array, Array]:
    """Eight tiles of float32 from 1 up, in rows `step` bytes apart: tiles, memory."""
    tiles = rng().integers(1, 100, (8, 16, 16)).astype(F32)
    memory = np.zeros((8, 16, step // 4), F32)
    memory[:, :, :16] = tiles
    return tiles, memory


def t_load(_: Verbs) -> Iterator[Case]:
    for step in (64, 96):
        tiles, memory = eight_tiles(step)
        yield Case((memory,), memory.reshape(-1), (step,), np.zeros_like(memory))


def t_zero(_: Verbs) -> Iterator[Case]:
    tiles, _memory = eight_tiles(64)
    expected = tiles.copy()
    expected[[1, 6]] = 0
    yield Case((tiles,), expected.reshape(-1), (64,))


def t_dot(_: Verbs) -> Iterator[Case]:
    tiles, _memory = eight_tiles(64)
    operands = random_tiles(4, 16, 32)
    held = tiles.copy()
    held[4:] = operands.reshape(4, 16, 32).view(F32).reshape(4, 16, 16)
    expected = held.copy()
    expected[0] += tile_product(operands[0], operands[2]).astype(F32)
    expected[3] += tile_product(operands[1], operands[3]).astype(F32)
    # the operands' bits are no numbers to compare within a tolerance
    before = np.zeros_like(held)
    yield Case((held,), expected[:4].reshape(-1), (64,), before, scale=200.0)


CASES: dict[str, Callable[[Verbs], Iterator[Case]]] = {
    case.__name__: case
    for case in (
        *(f_zero, f_set1, f_load, f_load_f16, f_load_bf16, f_load_i8, f_load_u8),
        *(f_load_u4, f_add, f_sub, f_mul, f_div, f_max, f_min, f_abs, f_fma, f_fnma),
        *(f_round, f_scale2, f_load_e8m0, f_load_e5m3, f_sum, f_hmax),
        *(f_swap_pairs, f_turn, f_first),
        *(f_from_i, f_store_f16, f_store_i8),
        *(i_load, i_zero, i_or, i_field, i_lut, i_bytes, i_add, i_shl, i_start, i_dots),
        *(w_store, w_dots, l_sums, b_join, b_pairs, b_products, b_dot, t_byte),
    )
}
CASES |= {"f_store": f_store, "T_LOAD": t_load, "T_ZERO": t_zero, "T_DOT": t_dot}


# --- the tests ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def verbs(level: Level) -> Verbs:
    return Verbs(level.name)


@cache
def scalar() -> Verbs:
    return Verbs("scalar")


def run(verbs: Verbs, name: str, case: Case) -> Array:
    out = (case.expected.dtype, case.expected.size)
    if name == "b_products":
        rows, ldc = case.n[0], case.n[3]
        all_rows = verbs(
            name, *case.inputs, n=case.n, before=case.before, out=(F32, 16 * ldc)
        ).reshape(16, ldc)
        assert case.before is not None
        np.testing.assert_array_equal(all_rows[:, 32:], case.before[:, 32:])
        return all_rows[:rows, :32]
    return verbs(name, *case.inputs, n=case.n, before=case.before, out=out)


def describe(name: str, case: Case) -> str:
    return f"{name}, n={case.n}: {case.inputs}"


def assert_same(got: Array, want: Array, name: str, case: Case) -> None:
    try:
        np.testing.assert_array_equal(got, want)
    except AssertionError as error:
        error.add_note(describe(name, case))
        raise


@pytest.mark.parametrize("name", CASES)
def test_each_verb_is_what_verbs_h_says(verbs: Verbs, name: str) -> None:
    if name not in verbs.names:
        pytest.skip("an optional verb that this level does not have")
    with np.errstate(all="ignore"):
        cases = list(CASES[name](verbs))
    assert cases
    for case in cases:
        got = run(verbs, name, case)
        if name in ABOUT:
            difference = np.abs(got.astype(np.float64) - case.expected)
            bound = ABOUT[name] * case.scale + SUBNORMAL
            assert (difference <= bound).all(), describe(name, case)
        else:
            assert_same(got, case.expected, name, case)


@pytest.mark.parametrize(
    "name",
    [each for each in CASES if each[:2] in ("f_", "i_") and each not in NOT_OF_SCALAR],
)
def test_each_verb_is_that_of_scalar_h(verbs: Verbs, level: Level, name: str) -> None:
    if level.name == "scalar":
        pytest.skip("scalar.h itself")
    with np.errstate(all="ignore"):
        cases = list(CASES[name](scalar()))
    for case in cases:
        if name == "i_dots" and verbs.byte_zero and case.n[3] == 8:
            continue  # signed codes are moved by BYTE_ZERO there, and not here
        assert_same(run(verbs, name, case), run(scalar(), name, case), name, case)


def test_no_verb_is_without_a_test(verbs: Verbs) -> None:
    assert set(verbs.names) <= set(CASES)


def test_levels_of_bf16_have_its_verbs(verbs: Verbs, level: Level) -> None:
    """Other tests ask a level's verbs whether it rounds; these levels must."""
    if level.name not in ("avx512_bf16", "amx", "amx_emulated"):
        pytest.skip("may be without")
    assert {"b_join", "b_pairs", "b_products"} <= set(verbs.names)
    assert ("T_DOT" in verbs.names) == level.name.startswith("amx")


def test_every_level_has_the_verbs_of_scalar_h(verbs: Verbs) -> None:
    assert set(scalar().names) <= set(verbs.names)


@pytest.mark.parametrize("name", CASES)
def test_each_verb_is_tested_at_some_level(name: str) -> None:
    """An optional verb that no level here has could be anything."""
    usable = [each for each in levels_of(MACHINE) if not kernels.lacking(each)]
    if not any(each.emulated for each in usable) and MACHINE == "x86_64":
        pytest.skip("the emulated level is not built, which has the verbs of tiles")
    assert any(name in Verbs(each.name).names for each in usable)
