"""Softmax of scores of any size, which meet queries span by span.

Levels differ in what they subtract from scores before exponentials: a running maximum,
or a score that is near it. Scores here rise, drop and leap by far more than a float
has exponents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from llamacy.ops.state.paged_sequence import PagedSequence
from tests.support.attention_cache import Cache, each_kv_type

if TYPE_CHECKING:
    from tests.kernels.conftest import Steps

HEAD_DIM, GROUP, LENGTH = 16, 6, 300
POSITIONS = np.arange(LENGTH)
# small integers, so that no type of cache rounds them
HEIGHTS = {
    "rise": POSITIONS // 8,
    "drop": np.where(POSITIONS < 40, 250, 0),
    "spike": np.where(POSITIONS == 150, 250, 0),
}
each_height = pytest.mark.parametrize("heights", HEIGHTS)
each_window = pytest.mark.parametrize("window", [0, 161])


def rows_of(cache: Cache, heights: str) -> tuple[Any, Any, Any]:
    """Scores are the heights times -8 to 16, a number of each head."""
    q, k, v = cache.rows(LENGTH)
    q[:], k[:] = 0, 0
    q[:, ::HEAD_DIM] = np.tile(np.array([-32, -1, 0, 2, 16, 64]), cache.n_head_kv)
    k[:, ::HEAD_DIM] = HEIGHTS[heights][:, None]
    return q, k, v


def last_row(cache: Cache, rows: tuple[Any, Any, Any]) -> Any:
    """Output of the last row, whose work threads share."""
    sequence = PagedSequence(cache.pool)
    cache.attend([(sequence, *(x[:-1] for x in rows))], appends_only=True)
    return cache.attend([(sequence, *(x[-1:] for x in rows))])[0]


def check(steps: Steps, kv_type: str, heights: str, **settings: Any) -> None:
    """Outputs are right, and the same bits in pieces and with more threads."""
    cache = Cache(steps, kv_type, HEAD_DIM, GROUP, **settings)
    rows = rows_of(cache, heights)
    together, want = cache.read(rows, []), cache.expected(rows)
    assert np.linalg.norm(together - want) <= cache.tolerance * np.linalg.norm(want)
    shared = Cache(steps, kv_type, HEAD_DIM, GROUP, n_threads=3, **settings)
    for cut in ([], [1, 70, 131, 299]):
        np.testing.assert_array_equal(shared.read(rows, cut), together)
    np.testing.assert_array_equal(last_row(shared, rows), together[-1:])


@each_kv_type
@pytest.mark.parametrize(
    ("heights", "window"), [("rise", 0), ("rise", 161), ("drop", 161), ("spike", 0)]
)
def test_scores_of_any_size(
    steps: Steps, kv_type: str, heights: str, window: int
) -> None:
    check(steps, kv_type, heights, window=window)


@each_kv_type
@each_height
def test_sinks_far_from_scores(steps: Steps, kv_type: str, heights: str) -> None:
    sinks = np.array([-np.inf, -3000, -300, -60, 0, 300] * 2, np.float32)
    check(steps, kv_type, heights, sinks=sinks)


@each_kv_type
@pytest.mark.filterwarnings("ignore:invalid value encountered")
@pytest.mark.parametrize("sink", [np.inf, np.nan])
def test_a_head_whose_sink_is_no_number_has_nan(
    steps: Steps, kv_type: str, sink: float
) -> None:
    sinks = np.zeros(2 * GROUP, np.float32)
    sinks[1] = sink
    cache = Cache(steps, kv_type, HEAD_DIM, GROUP, sinks=sinks)
    rows = rows_of(cache, "rise")
    is_nan = np.isnan(cache.read(rows, [])).reshape(LENGTH, 2 * GROUP, HEAD_DIM)
    np.testing.assert_array_equal(
        is_nan, np.isnan(cache.expected(rows)).reshape(is_nan.shape)
    )
    assert is_nan[:, 1].all()
    assert is_nan.sum() == is_nan[:, 1].size


@each_kv_type
@each_height
def test_steep_slopes(steps: Steps, kv_type: str, heights: str) -> None:
    slopes = np.array([8, 2, 0.5, 2, 4, 32] * 2, np.float32)
    check(steps, kv_type, heights, slopes=slopes)


@each_kv_type
def test_scores_of_an_encoder(steps: Steps, kv_type: str) -> None:
    for heights in HEIGHTS:
        cache = Cache(steps, kv_type, HEAD_DIM, GROUP, window=90, is_causal=False)
        rows = rows_of(cache, heights)
        got, want = cache.read(rows, []), cache.expected(rows)
        assert np.linalg.norm(got - want) <= cache.tolerance * np.linalg.norm(want)


@each_kv_type
@each_window
@pytest.mark.parametrize(("which", "token"), [("key", 0), ("key", 40), ("value", 150)])
def test_only_rows_that_see_a_nan_have_it(
    steps: Steps, kv_type: str, window: int, which: str, token: int
) -> None:
    cache = Cache(steps, kv_type, HEAD_DIM, GROUP, window=window)
    rows = cache.rows(LENGTH)
    want = cache.read(rows, [])
    rows[1 if which == "key" else 2][token] = np.nan
    got = cache.read(rows, [])
    sees = (token <= POSITIONS) & ((window == 0) | (POSITIONS < token + window))
    assert np.isnan(got[sees]).all()
    np.testing.assert_array_equal(got[~sees], want[~sees])
    shared = Cache(steps, kv_type, HEAD_DIM, GROUP, window=window, n_threads=3)
    np.testing.assert_array_equal(shared.read(rows, []), got)
    np.testing.assert_array_equal(last_row(shared, rows), got[-1:])


@each_kv_type
def test_scores_of_minus_infinity(steps: Steps, kv_type: str) -> None:
    """A row that has no others is NaN; one that has is not, but for int8's scales."""
    cache = Cache(steps, kv_type, HEAD_DIM, GROUP)
    q, k, v = cache.rows(LENGTH)
    q[:, ::HEAD_DIM] = 1
    want = cache.expected((q[40:], k[40:], v[40:]))
    k[:40, ::HEAD_DIM] = -np.inf
    got = cache.read((q, k, v), [])
    assert np.isnan(got[:40]).all()
    if kv_type.startswith("q8_0"):
        assert np.isnan(got[40:]).all()
    else:
        difference = np.linalg.norm(got[40:] - want)
        assert difference <= cache.tolerance * np.linalg.norm(want)
