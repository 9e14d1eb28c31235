"""NaN and infinities in keys and values reach the rows that see them, and no others.

A weight of 0 times NaN is NaN: a token that a row does not see must not be multiplied
by the row's weight at all, wherever in a page, a strip or a span the token stands.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest

from llamacy.ops.state.paged_sequence import PagedSequence
from tests.support.attention_cache import Cache, each_kv_type

if TYPE_CHECKING:
    from tests.kernels.conftest import Array, Steps

Rows = tuple["Array", "Array", "Array"]

NUMBERS = (np.nan, np.inf, -np.inf)
# the first and last tokens of pages, of strips and of spans, and some between
POSITIONS = (1, 31, 32, 46, 63, 127, 128, 145)
CUTS: tuple[list[int], ...] = ([], [30, 47], [*range(120, 147)])


def poisoned(rows: Rows, number: float, at: int, operands: str = "kv") -> Rows:
    """Put a number into every fifth dimension of one token's keys and values."""
    q, k, v = rows
    k, v = k.copy(), v.copy()
    if "k" in operands:
        k[at, ::5] = number
    if "v" in operands:
        v[at, ::5] = number
    return q, k, v


def assert_same_bits(got: Array, want: Array) -> None:
    np.testing.assert_array_equal(got.view(np.uint32), want.view(np.uint32))


@each_kv_type
@pytest.mark.parametrize(
    ("group", "window"), [(1, 0), (4, 0), (20, 0), (1, 37), (4, 13), (20, 37)]
)
def test_only_rows_that_see_a_token_change(
    steps: Steps, kv_type: str, group: int, window: int
) -> None:
    n_head_kv = 1 if group == 20 else 2
    cache = Cache(steps, kv_type, 24, group, n_head_kv, window=window, value_dim=40)
    rows = cache.rows(150)
    clean = cache.read(rows, [])
    assert np.isfinite(clean).all()
    for i, at in enumerate(POSITIONS):
        beyond = at + window if window else len(clean)
        bad = poisoned(rows, NUMBERS[i % 3], at)
        got = cache.read(bad, CUTS[(i + i // 3) % 3])
        assert_same_bits(got[:at], clean[:at])
        assert_same_bits(got[beyond:], clean[beyond:])


@each_kv_type
def test_nan_reaches_every_row_that_sees_it(steps: Steps, kv_type: str) -> None:
    for group, window in ((1, 0), (4, 0), (1, 37), (4, 37)):
        cache = Cache(steps, kv_type, 24, group, window=window)
        rows = cache.rows(150)
        for at, operand in itertools.product(POSITIONS, "kv"):
            got = cache.read(poisoned(rows, np.nan, at, operand), [100, 120])
            seeing = got[at : at + window if window else None]
            assert np.isnan(seeing).any(axis=1).all()


@each_kv_type
def test_other_sequences_of_the_batch_do_not_change(steps: Steps, kv_type: str) -> None:
    cache = Cache(steps, kv_type, 16, 4, n_threads=2)
    texts = [cache.rows(length, seed=length) for length in (7, 70, 40)]
    clean = [cache.read(rows, []) for rows in texts]
    texts[1] = poisoned(texts[1], np.nan, 35)
    got = cache.attend([(PagedSequence(cache.pool), *rows) for rows in texts])
    assert_same_bits(got[0], clean[0])
    assert_same_bits(got[1][:35], clean[1][:35])
    assert_same_bits(got[2], clean[2])


@each_kv_type
def test_forks_do_not_see_tokens_of_their_trunk(steps: Steps, kv_type: str) -> None:
    cache = Cache(steps, kv_type, 16, 4)
    start, other, end = (cache.rows(m, seed=m) for m in (37, 9, 20))
    q, k, v = (np.concatenate(pair) for pair in zip(start, end, strict=True))
    want = cache.read((q, k, v), [])[37:]
    trunk = PagedSequence(cache.pool)
    cache.attend([(trunk, *start)])
    fork = trunk.fork()
    bad = poisoned(other, np.nan, 0)
    _, got = cache.attend([(trunk, *bad), (fork, *end)])
    assert_same_bits(got, want)


@each_kv_type
def test_truncated_tokens_and_reused_pages_leave_nothing(
    steps: Steps, kv_type: str
) -> None:
    cache = Cache(steps, kv_type, 16, 4)
    rows = cache.rows(80)
    clean = cache.read(rows, [])
    bad = poisoned(rows, np.nan, 50)
    cache.read(bad, [])  # its pages are free again, and taken by the next sequence
    assert_same_bits(cache.read(rows, [33, 34]), clean)
    sequence = PagedSequence(cache.pool)
    cache.attend([(sequence, *bad)])
    sequence.truncate(45)
    (got,) = cache.attend([(sequence, *(x[45:] for x in rows))])
    assert_same_bits(got, clean[45:])
