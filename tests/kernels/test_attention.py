"""The KV cache's kernels: what is appended is attended to, whatever the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.ops.state.kv_pages import PAGE
from llamacy.ops.state.paged_sequence import PagedSequence
from llamacy.ops.state.specs import KeyValues
from tests.support.attention_cache import (
    TOLERANCE,
    Cache,
    each_kv_type,
    each_latent_type,
)

if TYPE_CHECKING:
    from tests.kernels.conftest import Steps

# Heads of queries for each of keys, and the number of these: strips have room for many
# rows, some, or a part of one.
GROUPS = ((1, 2), (4, 2), (20, 1))


def error(got: NDArray[Any], want: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(got - want) / np.linalg.norm(want))


def last_row(cache: Cache, rows: tuple[Any, Any, Any]) -> Any:
    """Output of the last row, whose attention alone is computed."""
    sequence = PagedSequence(cache.pool)
    cache.attend([(sequence, *(x[:-1] for x in rows))], appends_only=True)
    return cache.attend([(sequence, *(x[-1:] for x in rows))])[0]


@each_kv_type
@pytest.mark.parametrize("head_dim", [8, 16, 40, 64, 80, 128])
def test_every_group_and_length(steps: Steps, kv_type: str, head_dim: int) -> None:
    for group in (1, 3, 4, 8, 16, 20):
        cache = Cache(steps, kv_type, head_dim, group)
        for length in (1, 31, 32, 33, 100) if group in (1, 4) else (17, 65):
            rows = cache.rows(length)
            got = cache.read(rows, [])
            assert error(got, cache.expected(rows)) <= cache.tolerance, (
                group, length,
            )  # fmt: skip


@each_kv_type
@pytest.mark.parametrize(
    ("head_dim", "value_dim"), [(192, 128), (48, 16), (80, 64), (40, 24)]
)
@pytest.mark.parametrize(("group", "n_head_kv"), GROUPS)
def test_keys_and_values_of_different_sizes(
    steps: Steps,
    kv_type: str,
    head_dim: int,
    value_dim: int,
    group: int,
    n_head_kv: int,
) -> None:
    cache = Cache(steps, kv_type, head_dim, group, n_head_kv, value_dim=value_dim)
    for length in (1, 33, 150):
        rows = cache.rows(length)
        together = cache.read(rows, [])
        assert together.shape == (length, n_head_kv * group * value_dim)
        assert error(together, cache.expected(rows)) <= cache.tolerance
        cut = [*range(1, min(length, 5)), *([32, length - 1] if length > 33 else [])]
        np.testing.assert_array_equal(cache.read(rows, cut), together)


@each_kv_type
@pytest.mark.parametrize(("head_dim", "value_dim"), [(48, 16), (16, 80)])
def test_windows_over_keys_and_values_of_different_sizes(
    steps: Steps, kv_type: str, head_dim: int, value_dim: int
) -> None:
    """Also with a sink of each head and a soft cap of the scores."""
    sinks = np.random.default_rng(3).standard_normal(8).astype(np.float32)
    cache = Cache(
        *(steps, kv_type, head_dim, 4),
        window=45, softcap=5, sinks=sinks, value_dim=value_dim,
    )  # fmt: skip
    rows = cache.rows(200)
    together = cache.read(rows, [])
    assert error(together, cache.expected(rows)) <= cache.tolerance
    np.testing.assert_array_equal(cache.read(rows, [1, 70, 199]), together)


@each_latent_type
@pytest.mark.parametrize(("head_dim", "value_dim"), [(80, 64), (48, 32)])
@pytest.mark.parametrize("window", [0, 45])
def test_latent_values_are_those_of_keys_bit_for_bit(
    steps: Steps, kv_type: str, head_dim: int, value_dim: int, window: int
) -> None:
    for n_head_kv, group in ((1, 1), (1, 4), (2, 5), (1, 40)):
        apart, latent = (
            Cache(
                *(steps, kv_type, head_dim, group, n_head_kv),
                window=window, value_dim=value_dim, is_latent=is_latent,
            )
            for is_latent in (False, True)
        )  # fmt: skip
        assert latent.slot.spec.page_bytes(latent.slot.kv_type) < (
            apart.slot.spec.page_bytes(apart.slot.kv_type)
        )
        q, k, _ = latent.rows(170)
        v = k.reshape(170, n_head_kv, head_dim)[..., :value_dim].reshape(170, -1)
        want = apart.read((q, k, v), [])
        assert error(want, apart.expected((q, k, v))) <= apart.tolerance
        for cut in ([], [1, 70, 169]):
            np.testing.assert_array_equal(latent.read((q, k, v), cut), want)


@each_latent_type
def test_latent_values_of_any_size(steps: Steps, kv_type: str) -> None:
    """Q8_0 has the scales of groups of keys, in part of which are values."""
    cache = Cache(steps, kv_type, 44, 5, 1, value_dim=37, is_latent=True)
    q, k, _ = cache.rows(70)
    rows = q, k, k[:, :37]
    assert error(cache.read(rows, []), cache.expected(rows)) <= cache.tolerance


@pytest.mark.parametrize("kv_type", TOLERANCE)
def test_a_page_has_room_for_keys_and_values_of_their_sizes(kv_type: str) -> None:
    per_token = {"f32": 4 * 80, "f16": 2 * 80, "q8_0": 80 + 4 * (2 + 1)}[kv_type]
    assert KeyValues(0, 2, 48, 32).page_bytes(kv_type) == 2 * PAGE * per_token


@each_kv_type
@pytest.mark.parametrize("group", [1, 4, 5, 20])
def test_token_by_token_is_the_same_as_together(
    steps: Steps, kv_type: str, group: int
) -> None:
    cache = Cache(steps, kv_type, 24, group)
    rows = cache.rows(70)
    together = cache.read(rows, [])
    for cut in (list(range(1, 70)), [32], [1, 34, 65]):
        np.testing.assert_array_equal(cache.read(rows, cut), together)


# shorter and longer than pages, than spans of them, and than the text
@each_kv_type
@pytest.mark.parametrize("window", [1, 7, 32, 33, 100, 128, 161, 300, 1000])
def test_a_window_hides_what_is_before_it(
    steps: Steps, kv_type: str, window: int
) -> None:
    cuts = ([*range(129, 140), 290, 291], [32], [1, 34, 65, 255])
    for i, (group, n_head_kv) in enumerate(GROUPS):
        cache = Cache(steps, kv_type, 16, group, n_head_kv, window=window)
        rows = cache.rows(300)
        together = cache.read(rows, [])
        assert error(together, cache.expected(rows)) <= cache.tolerance
        cut = cuts[(i + window) % 3]  # each with every group, of some window
        np.testing.assert_array_equal(cache.read(rows, cut), together)


@each_kv_type
@pytest.mark.parametrize("window", [0, 1, 9, 64, 200, 1000])
def test_rows_of_an_encoder_see_both_ways(
    steps: Steps, kv_type: str, window: int
) -> None:
    """Texts that are beside theirs make no difference."""
    for head_dim, (group, n_head_kv) in zip((32, 40, 16), GROUPS, strict=True):
        cache = Cache(
            *(steps, kv_type, head_dim, group, n_head_kv),
            window=window, is_causal=False,
        )  # fmt: skip
        texts = [cache.rows(n, seed=n) for n in (1, 31, 2, 33, 300, 17)]
        alone = [cache.read(rows, []) for rows in texts]
        together = cache.attend([(PagedSequence(cache.pool), *each) for each in texts])
        for rows, one, other in zip(texts, alone, together, strict=True):
            # means of more values are smaller beside the errors of each
            assert error(one, cache.expected(rows)) <= 2 * cache.tolerance
            np.testing.assert_array_equal(other, one)


@each_kv_type
@pytest.mark.parametrize("is_causal", [True, False])
def test_scores_fall_with_the_distance(
    steps: Steps, kv_type: str, is_causal: bool
) -> None:
    """Also within a window, and after a cap."""
    slopes = np.geomspace(0.5, 1 / 256, 8).astype(np.float32)
    for window, softcap in ((0, 0), (90, 5)):
        cache = Cache(
            *(steps, kv_type, 24, 4),
            window=window, softcap=softcap, is_causal=is_causal, slopes=slopes,
        )  # fmt: skip
        for length in (1, 40, 200):
            rows = cache.rows(length)
            assert error(cache.read(rows, []), cache.expected(rows)) <= cache.tolerance


def test_pages_before_the_window_are_not_read(steps: Steps) -> None:
    """Pages before the window may hold NaN, which would make everything NaN."""
    cache = Cache(steps, "f32", 16, 2, window=40)
    q, k, v = cache.rows(250)
    want = cache.read((q, k, v), [210])[210:]
    before = (211 - 40) // PAGE * PAGE
    k[:before], v[:before] = np.nan, np.nan
    np.testing.assert_array_equal(cache.read((q, k, v), [210])[210:], want)


@each_kv_type
@pytest.mark.parametrize(("softcap", "window"), [(0.5, 0), (50.0, 0), (2.0, 45)])
def test_soft_caps(steps: Steps, kv_type: str, softcap: float, window: int) -> None:
    cache = Cache(steps, kv_type, 24, 4, softcap=softcap, window=window)
    rows = cache.rows(150)
    together = cache.read(rows, [])
    assert error(together, cache.expected(rows)) <= cache.tolerance
    np.testing.assert_array_equal(cache.read(rows, [1, 70, 149]), together)


@each_kv_type
@pytest.mark.parametrize("window", [0, 45])
def test_sinks(steps: Steps, kv_type: str, window: int) -> None:
    for group in (1, 4, 20):
        sinks = 3 * np.random.default_rng(3).standard_normal(2 * group)
        sinks[0], sinks[-1] = -np.inf, 60  # as if there were none, and nothing else
        cache = Cache(
            *(steps, kv_type, 24, group), window=window, sinks=sinks.astype(np.float32)
        )
        rows = cache.rows(150)
        together = cache.read(rows, [])
        assert error(together, cache.expected(rows)) <= cache.tolerance
        np.testing.assert_array_equal(cache.read(rows, [1, 70, 149]), together)


@each_kv_type
def test_several_sequences_in_one_batch(steps: Steps, kv_type: str) -> None:
    cache = Cache(steps, kv_type, 16, 4)
    lengths = (1, 40, 7, 33)
    texts = [cache.rows(length + 3, seed=length) for length in lengths]
    sequences = [PagedSequence(cache.pool) for _ in lengths]
    first = cache.attend(
        [
            (sequence, *(x[:n] for x in text))
            for sequence, text, n in zip(sequences, texts, lengths, strict=True)
        ]
    )
    then = cache.attend(
        [
            (sequence, *(x[n:] for x in text))
            for sequence, text, n in zip(sequences, texts, lengths, strict=True)
        ]
    )
    for text, a, b in zip(texts, first, then, strict=True):
        alone = cache.read(text, [])
        np.testing.assert_array_equal(np.concatenate([a, b]), alone)


@each_kv_type
@pytest.mark.parametrize("shared", [5, 32, 40])
def test_forks_go_their_own_ways(steps: Steps, kv_type: str, shared: int) -> None:
    cache = Cache(steps, kv_type, 16, 2)
    start = cache.rows(shared)
    trunk = PagedSequence(cache.pool)
    cache.attend([(trunk, *start)])
    forks = [trunk.fork(), trunk.fork(), trunk]
    ends = [cache.rows(30, seed=seed) for seed in (1, 2, 3)]
    got = cache.attend([(fork, *end) for fork, end in zip(forks, ends, strict=True)])
    for end, out in zip(ends, got, strict=True):
        q, k, v = (np.concatenate(pair) for pair in zip(start, end, strict=True))
        np.testing.assert_array_equal(out, cache.read((q, k, v), [shared])[shared:])


@each_kv_type
@pytest.mark.parametrize("kept", [0, 1, 31, 32, 33])
def test_what_was_truncated_is_forgotten(steps: Steps, kv_type: str, kept: int) -> None:
    cache = Cache(steps, kv_type, 16, 2)
    sequence, rows, other = PagedSequence(cache.pool), cache.rows(80), cache.rows(80, 1)
    if kept:
        cache.attend([(sequence, *(x[:kept] for x in rows))])
    cache.attend([(sequence, *other)])
    sequence.truncate(kept)
    (got,) = cache.attend([(sequence, *(x[kept:] for x in rows))])
    np.testing.assert_array_equal(got, cache.read(rows, [])[kept:])


@each_kv_type
def test_threads_make_no_difference(steps: Steps, kv_type: str) -> None:
    alone = Cache(steps, kv_type, 32, 4)
    rows = alone.rows(100)
    want = alone.read(rows, [60])
    for n_threads in (2, 3):
        cache = Cache(steps, kv_type, 32, 4, n_threads=n_threads)
        np.testing.assert_array_equal(cache.read(rows, [60]), want)


@each_kv_type
@pytest.mark.parametrize(
    ("group", "sizes", "is_latent", "window"),
    [
        # each group has all values of the others, and these all of each other
        (1, (40, 40), False, 0),
        (1, (40, 40), True, 150),
        (4, (80, 64), False, 150),
        (4, (80, 64), True, 0),
        (20, (44, 37), False, 0),
        (20, (44, 37), True, 150),
        (130, (24, 16), False, 150),
        (130, (24, 16), True, 0),
    ],
)
def test_threads_that_share_a_row_make_no_difference(
    steps: Steps,
    kv_type: str,
    group: int,
    sizes: tuple[int, int],
    is_latent: bool,
    window: int,
) -> None:
    alone, *shared = (
        Cache(
            *(steps, kv_type, sizes[0], group, 1),
            n_threads=n_threads, window=window, softcap=9,
            sinks=np.arange(group, dtype=np.float32) % 3,
            value_dim=sizes[1], is_latent=is_latent,
        )
        for n_threads in (1, 2, 5)
    )  # fmt: skip
    rows = alone.rows(301)
    rows[1][140, 2] = np.nan  # hidden by the window, and in a page that is not
    want = last_row(alone, rows)
    assert np.isnan(want).any() == (window == 0)
    for cache in shared:
        np.testing.assert_array_equal(last_row(cache, rows), want)


@each_kv_type
def test_threads_share_rows_of_several_sequences(steps: Steps, kv_type: str) -> None:
    outputs = []
    for n_threads in (1, 4):
        cache = Cache(steps, kv_type, 48, 6, 1, n_threads=n_threads, value_dim=40)
        parts: list[tuple[Any, ...]] = []
        for length in (300, 20, 140):
            sequence = PagedSequence(cache.pool)
            rows = cache.rows(length + 1, seed=length)
            cache.attend([(sequence, *(x[:-1] for x in rows))], appends_only=True)
            parts.append((sequence, *(x[-1:] for x in rows)))
        outputs.append(cache.attend(parts))
    alone, shared = outputs
    np.testing.assert_array_equal(shared, alone)


@pytest.mark.parametrize("kv_type", TOLERANCE)
def test_only_what_may_be_rounded_is(steps: Steps, kv_type: str) -> None:
    exact, rounded = (
        Cache(steps, kind, 64, 4) for kind in (kv_type, f"{kv_type} rounded")
    )
    rows = exact.rows(70)
    is_same = np.array_equal(exact.read(rows, []), rounded.read(rows, []))
    assert is_same == (kv_type == "f32" or not steps.has_bf16)


@each_kv_type
def test_large_scores_do_not_overflow(steps: Steps, kv_type: str) -> None:
    cache = Cache(steps, kv_type, 16, 4)
    q, k, v = cache.rows(70)
    rows = (q * 1000, k * 10, v)
    got, want = cache.read(rows, []), cache.expected(rows)
    # one token wins almost always; where two are near, keys decide by their rounding
    assert np.isfinite(got).all()
    near = np.abs(got - want).max(axis=1) < 0.05
    assert near.mean() > (0.95 if kv_type == "f32" else 0.6)


@each_kv_type
def test_outlier_dimensions(steps: Steps, kv_type: str) -> None:
    """Some dimensions of keys are far greater than the rest in real models."""
    cache = Cache(steps, kv_type, 64, 4)
    q, k, v = cache.rows(70)
    k[:, 3] *= 20
    q[:, 3::64] *= np.float32(0.05)
    error_found = error(cache.read((q, k, v), []), cache.expected((q, k, v)))
    factor = 5 if kv_type.startswith("q8_0") else 2
    assert error_found <= factor * cache.tolerance
