"""The KV cache's kernels: what is appended is attended to, whatever the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.ops.plan.runtime import Program
from llamacy.ops.plan.step import Step
from llamacy.ops.plan.steps import MAX_RUN
from llamacy.ops.state.kv_pages import PAGE
from llamacy.ops.state.layout import StateSlot
from llamacy.ops.state.pages import PagePool
from llamacy.ops.state.sequence import PagedSequence
from llamacy.ops.state.specs import KeyValues

if TYPE_CHECKING:
    from tests.kernels.conftest import Array, Steps

# Root-mean-square error of the outputs relative to their norm, by the type of the
# cache; and in bfloat16, if that is more.
TOLERANCE = {"f32": 1e-5, "f16": 1e-3, "q8_0": 1e-2}
BF16_TOLERANCE = 5e-3
N_LAYER = 2

# "rounded": levels that have bfloat16 may compute in it
each_kv_type = pytest.mark.parametrize(
    "kv_type", [*TOLERANCE, "f16 rounded", "q8_0 rounded"]
)


class Cache:
    """Appends to sequences and attends to them, in layer 1 of 2."""

    def __init__(
        self,
        steps: Steps,
        kv_type: str,
        head_dim: int,
        group: int,
        n_head_kv: int = 2,
        n_threads: int = 1,
        window: int = 0,
        softcap: float = 0,
        sinks: Array | None = None,
        value_dim: int = 0,
    ) -> None:
        self.sinks = sinks
        self.value_dim = value_dim or head_dim
        self.window, self.softcap = window, softcap
        self.group, self.n_head_kv, self.head_dim = group, n_head_kv, head_dim
        self.n_head = group * n_head_kv
        self.n_threads = n_threads
        self._table = steps.table
        self._kv_type, *rounded = kv_type.split()
        self._may_round = bool(rounded)
        self.rounds = self._may_round and steps.has_bf16 and self._kv_type != "f32"
        self.tolerance = TOLERANCE[self._kv_type]
        if self.rounds:
            self.tolerance = max(self.tolerance, BF16_TOLERANCE)
        spec = KeyValues(1, n_head_kv, head_dim, self.value_dim)
        layer_bytes = spec.page_bytes(self._kv_type)
        self.slot = StateSlot(spec, self._kv_type, layer_bytes)
        self.pool = PagePool(PAGE, N_LAYER * layer_bytes)

    def rows(self, m: int, seed: int = 0) -> tuple[Array, Array, Array]:
        """Random queries, keys and values of m tokens."""
        rng = np.random.default_rng(seed)
        q = rng.standard_normal((m, self.n_head * self.head_dim), dtype=np.float32)
        k = rng.standard_normal((m, self.n_head_kv * self.head_dim), dtype=np.float32)
        v = rng.standard_normal((m, self.n_head_kv * self.value_dim), dtype=np.float32)
        return 2 * q, k, v

    def attend(self, parts: list[tuple[Any, ...]]) -> list[Array]:
        """Continue each sequence with its rows; the outputs of each."""
        runs, pages, first = [], [], 0
        longest = max(1, MAX_RUN // self.group)
        for sequence, q, _, _ in parts:
            sequence.reserve(len(q))
            for row in range(0, len(q), longest):
                n_rows = min(longest, len(q) - row)
                runs.append((first + row, n_rows, sequence.n_past + row))
                pages.append(sequence.page_table)
            first += len(q)
        queries, keys, values = (
            _in_buffer(np.concatenate([part[i] for part in parts])) for i in (1, 2, 3)
        )
        width = self.n_head * self.value_dim
        y = np.full((first, -(-width // 16) * 16), np.nan, np.float32)
        program = Program(self._table, self.n_threads)
        append = Step.of(
            "append",
            {"v": values},
            {"q": queries, "k": keys, "state": self.slot},
            n_head=self.n_head,
        )
        attention = Step.of(
            "attention",
            {"q": queries, "state": self.slot},
            {"y": y},
            n_head=self.n_head,
            scale=self.head_dim**-0.5,
            window=self.window,
            softcap=self.softcap,
            sinks=self.sinks,
            may_round=self._may_round,
        )
        program.add(append)
        program.add(attention, waits=True)
        program.run(
            np.zeros(first, np.int32),
            np.zeros(first, np.int32),
            np.empty(0, np.int32),
            np.asarray(runs, np.int32),
            np.asarray(pages, np.uintp),
            np.empty((0, 1), np.float32),
            self.n_threads,
        )
        assert np.isnan(y[:, width:]).all(), "wrote past the end of its rows"
        for sequence, q, _, _ in parts:
            sequence.advance(len(q))
        ends = np.cumsum([len(part[1]) for part in parts])[:-1]
        return list(np.split(y[:, :width], ends))

    def read(self, rows: tuple[Array, Array, Array], cut: list[int]) -> Array:
        """Outputs of a new sequence that is read in pieces ending at `cut`."""
        sequence = PagedSequence(self.pool)
        pieces = zip(*(np.split(x, cut) for x in rows), strict=True)
        return np.concatenate([self.attend([(sequence, *each)])[0] for each in pieces])

    def expected(self, rows: tuple[Array, Array, Array]) -> NDArray[np.float64]:
        """Causal attention in float64, all rows being one sequence."""
        m, heads = len(rows[0]), (self.n_head_kv, self.group)
        q, k, v = (x.astype(np.float64) for x in rows)
        q, k = q.reshape(m, *heads, -1), k.reshape(m, self.n_head_kv, -1)
        v = v.reshape(m, self.n_head_kv, -1)
        out = np.empty((m, *heads, self.value_dim))
        for t, head in np.ndindex(m, self.n_head_kv):
            seen = slice(max(0, t + 1 - self.window) if self.window else 0, t + 1)
            scores = q[t, head] @ k[seen, head].T * self.head_dim**-0.5
            if self.softcap:
                scores = self.softcap * np.tanh(scores / self.softcap)
            if self.sinks is not None:
                sinks = self.sinks.reshape(*heads, 1)[head]
                scores = np.concatenate([scores, sinks], axis=-1)
            weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
            weights /= weights.sum(axis=-1, keepdims=True)
            values = v[seen, head]
            out[t, head] = weights[:, : len(values)] @ values
        return out.reshape(m, -1)


def _in_buffer(x: Array) -> Array:
    """Copy rows into whole vectors; the padding is NaN, and must not be read."""
    return np.pad(x, [(0, 0), (0, -x.shape[1] % 16)], constant_values=np.nan)


def error(got: NDArray[Any], want: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(got - want) / np.linalg.norm(want))


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
@pytest.mark.parametrize("group", [1, 4, 20])
def test_keys_and_values_of_different_sizes(
    steps: Steps, kv_type: str, head_dim: int, value_dim: int, group: int
) -> None:
    cache = Cache(steps, kv_type, head_dim, group, value_dim=value_dim)
    for length in (1, 33, 150):
        rows = cache.rows(length)
        together = cache.read(rows, [])
        assert together.shape == (length, 2 * group * value_dim)
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
    for group in (1, 4, 20):
        cache = Cache(steps, kv_type, 16, group, window=window)
        rows = cache.rows(300)
        together = cache.read(rows, [])
        assert error(together, cache.expected(rows)) <= cache.tolerance
        for cut in ([*range(129, 140), 290, 291], [32], [1, 34, 65, 255]):
            np.testing.assert_array_equal(cache.read(rows, cut), together)


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


@each_kv_type
def test_nan_stays_with_those_who_see_it(steps: Steps, kv_type: str) -> None:
    cache = Cache(steps, kv_type, 16, 4)
    q, k, v = cache.rows(70)
    clean = cache.read((q, k, v), [])
    v[40] = np.nan
    got = cache.read((q, k, v), [])
    n_clean = 40 // PAGE * PAGE if cache.rounds else 40  # pages are unpacked whole
    np.testing.assert_array_equal(got[:n_clean], clean[:n_clean])
    if not kv_type.startswith("q8_0"):
        assert np.isnan(got[40:]).all()
