"""The verbs of bfloat16 and tiles in NumPy: a function for each yields its cases."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from tests.support.verb_cases.inputs import (
    F32,
    TINY,
    Array,
    Case,
    bf16,
    bytes_of,
    floats,
    from_bf16,
    rng,
    words,
)
from tests.support.verbs import Verbs


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


def t_lookup(_: Verbs) -> Iterator[Case]:
    for table in floats():
        for shift in range(0, 32, 4):
            for x in words():
                yield Case((table, x), table[x.view(np.uint32) >> shift & 15], (shift,))


def t_fraction(_: Verbs) -> Iterator[Case]:
    for x in floats(finite=True):
        yield Case((x,), x - np.floor(x))


def t_scale2(_: Verbs) -> Iterator[Case]:
    for x in floats():
        for e in (-126.0, -3.25, -0.5, 0.0, 2.75):
            power = np.full(16, e, F32)
            yield Case((x, power), x * F32(2.0 ** np.floor(e)))


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
        b_join,
        b_pairs,
        b_products,
        b_dot,
        t_byte,
        t_lookup,
        t_fraction,
        t_scale2,
    )
}
CASES |= {"T_LOAD": t_load, "T_ZERO": t_zero, "T_DOT": t_dot}
