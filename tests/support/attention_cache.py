"""Keys and values of sequences in pages, appended and attended to by kernels alone."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.ops.plan.runtime import Program
from llamacy.ops.plan.step import SCORES, Operand, Step
from llamacy.ops.plan.steps import MAX_RUN
from llamacy.ops.state.kv_pages import PAGE
from llamacy.ops.state.layout import StateLayout
from llamacy.ops.state.page_numbers import PageNumbers
from llamacy.ops.state.paged_sequence import PagedSequence
from llamacy.ops.state.pages import PagePool
from llamacy.ops.state.specs import KeyValues

if TYPE_CHECKING:
    from tests.kernels.conftest import Array, Steps

# Root-mean-square error of the outputs relative to their norm, by the type of the
# cache; and in bfloat16, if that is more.
TOLERANCE = {"f32": 1e-5, "f16": 1e-3, "q8_0": 1e-2}
BF16_TOLERANCE = 5e-3
N_LAYER = 2

# "rounded": levels that have bfloat16 may compute in it, and others skip the test.
# Latent values are never in pages of bfloat16.
each_latent_type = pytest.mark.parametrize(
    "kv_type", [*TOLERANCE, "f16 rounded", "q8_0 rounded"], indirect=True
)
each_kv_type = pytest.mark.parametrize(
    "kv_type",
    [*TOLERANCE, "f16 rounded", "q8_0 rounded", "bf16 rounded"],
    indirect=True,
)


_expected: dict[tuple[Hashable, ...], NDArray[np.float64]] = {}


class Cache:
    """Appends to sequences and attends to them, in layer 1 of 2.

    Several threads share the work on rows that are fewer.
    """

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
        is_latent: bool = False,
        is_causal: bool = True,
        slopes: Array | None = None,
    ) -> None:
        self.sinks, self.slopes, self.is_causal = sinks, slopes, is_causal
        self.value_dim = value_dim or head_dim
        self.window, self.softcap = window, softcap
        self.group, self.n_head_kv, self.head_dim = group, n_head_kv, head_dim
        self.n_head = group * n_head_kv
        self.n_threads = n_threads
        self._is_latent = is_latent
        self._table = steps.table
        self._kv_type, *rounded = kv_type.split()
        if self._kv_type == "bf16" and is_latent:
            pytest.skip("latent values are never in pages of bfloat16")
        self._may_round = bool(rounded)
        self.rounds = self._may_round and steps.has_bf16 and self._kv_type != "f32"
        self.tolerance = TOLERANCE.get(self._kv_type, BF16_TOLERANCE)
        if self.rounds:
            self.tolerance = max(self.tolerance, BF16_TOLERANCE)
        specs = [
            KeyValues(
                *(layer, n_head_kv, head_dim, self.value_dim),
                is_latent=is_latent,
                is_causal=is_causal,
            )
            for layer in range(N_LAYER)
        ]
        layout = StateLayout(specs, self._kv_type)
        self.slot = layout.slot(specs[1])
        self.pool = PagePool(PAGE, layout.page_bytes, numbers=PageNumbers(layout))

    def rows(self, m: int, seed: int = 0) -> tuple[Array, Array, Array]:
        """Random queries, keys and values of m tokens."""
        widths = (
            self.n_head * self.head_dim,
            self.n_head_kv * self.head_dim,
            self.n_head_kv * self.value_dim,
        )
        q, k, v = (x.copy() for x in _noise(m, widths, seed))
        return q, k, v

    def attend(
        self, parts: list[tuple[Any, ...]], *, appends_only: bool = False
    ) -> list[Array]:
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
            _in_buffer([part[i] for part in parts]) for i in (1, 2, 3)
        )
        width = self.n_head * self.value_dim
        y = np.full((first, -(-width // 16) * 16), np.nan, np.float32)
        program = Program(self._table, self.n_threads)
        append = Step.of(
            "append",
            {} if self._is_latent else {"v": values},
            {"q": queries, "k": keys, "state": self.slot},
            n_head=self.n_head,
        )
        program.add(append)
        for each in [] if appends_only else self._attention(queries, y):
            program.add(each, waits=True)
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

    def _attention(self, queries: Array, y: Array) -> list[Step]:
        """Attention, and the scores before it if threads may share them."""
        reads: dict[str, Operand] = {"q": queries, "state": self.slot}
        options: dict[str, Any] = {
            "n_head": self.n_head,
            "scale": self.head_dim**-0.5,
            "window": self.window,
            "softcap": self.softcap,
            "sinks": self.sinks,
            "slopes": self.slopes,
            "may_round": self._may_round,
        }
        if self.n_threads == 1:
            return [Step.of("attention", reads, {"y": y}, **options)]
        with_scores = reads | {"scores": SCORES}
        return [
            Step.of("scores", reads, {"scores": SCORES}, **options),
            Step.of("attention", with_scores, {"y": y}, **options),
        ]

    def read(self, rows: tuple[Array, Array, Array], cut: list[int]) -> Array:
        """Outputs of a new sequence that is read in pieces ending at `cut`."""
        sequence = PagedSequence(self.pool)
        pieces = zip(*(np.split(x, cut) for x in rows), strict=True)
        return np.concatenate([self.attend([(sequence, *each)])[0] for each in pieces])

    def expected(self, rows: tuple[Array, Array, Array]) -> NDArray[np.float64]:
        """Attention in float64, all rows being one sequence.

        Each only once: levels and types of the cache make no difference to it.
        """
        settings = (
            self.n_head_kv, self.group, self.head_dim, self.value_dim,
            self.window, self.softcap, self.is_causal,
        )  # fmt: skip
        arrays = (*rows, self.slopes, self.sinks)
        digests = (b"" if x is None else sha256(x.tobytes()).digest() for x in arrays)
        key = (*settings, *digests)
        if key not in _expected:
            _expected[key] = self._computed(rows)
        return _expected[key]

    def _computed(self, rows: tuple[Array, Array, Array]) -> NDArray[np.float64]:
        m, heads = len(rows[0]), (self.n_head_kv, self.group)
        q, k, v = (x.astype(np.float64) for x in rows)
        q, k = q.reshape(m, *heads, -1), k.reshape(m, self.n_head_kv, -1)
        v = v.reshape(m, self.n_head_kv, -1)
        out = np.empty((m, *heads, self.value_dim))
        for t, head in np.ndindex(m, self.n_head_kv):
            seen = self._sight(t, m)
            scores = q[t, head] @ k[seen, head].T * self.head_dim**-0.5
            if self.softcap:
                scores = self.softcap * np.tanh(scores / self.softcap)
            if self.slopes is not None:
                distances = np.abs(np.arange(seen.start, seen.stop) - t)
                scores -= self.slopes.reshape(*heads, 1)[head] * distances
            if self.sinks is not None:
                sinks = self.sinks.reshape(*heads, 1)[head]
                scores = np.concatenate([scores, sinks], axis=-1)
            weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
            weights /= weights.sum(axis=-1, keepdims=True)
            values = v[seen, head]
            out[t, head] = weights[:, : len(values)] @ values
        return out.reshape(m, -1)

    def _sight(self, t: int, m: int) -> slice:
        """Return the rows that row t of m sees."""
        if self.is_causal:
            return slice(max(0, t + 1 - self.window) if self.window else 0, t + 1)
        half = self.window // 2 if self.window else m
        return slice(max(0, t - half), min(m, t + half + 1))


@cache
def _noise(m: int, widths: tuple[int, int, int], seed: int) -> tuple[Array, ...]:
    """Make what the same test takes at other levels and from other types of caches."""
    rng = np.random.default_rng(seed)
    q, k, v = (rng.standard_normal((m, n), dtype=np.float32) for n in widths)
    return 2 * q, k, v


def _in_buffer(parts: list[Array]) -> Array:
    """Copy rows into whole vectors; the padding is NaN, and must not be read."""
    width = parts[0].shape[1]
    buffer = np.full((sum(map(len, parts)), -(-width // 16) * 16), np.nan, np.float32)
    np.concatenate(parts, out=buffer[:, :width])
    return buffer
