"""The plan: what it refuses, and what it must compute whatever else goes on."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.errors import ArgumentError, ClosedError, OutOfMemoryError
from llamacy.formats.gguf.config import read_config
from llamacy.formats.gguf.file import open_gguf
from llamacy.model.executors import load_executor
from llamacy.ops.batch import Batch
from llamacy.ops.plan.plan import Plan
from llamacy.ops.state import pages
from llamacy.ops.state.sequence import SequenceState

N_BATCH = 48
Load = Callable[..., Plan]


@pytest.fixture
def load(babble_model: Path) -> Load:
    def make(n_threads: int = 2, kv_type: str = "f32", n_batch: int = N_BATCH) -> Plan:
        with open_gguf(babble_model) as file:
            plan = load_executor(
                file,
                read_config(file),
                n_threads=n_threads,
                kv_type=kv_type,
                n_batch=n_batch,
            )
        assert isinstance(plan, Plan)
        return plan

    return make


@pytest.fixture
def plan(load: Load) -> Iterator[Plan]:
    loaded = load()
    yield loaded
    loaded.close()


def ids(n: int, seed: int = 0) -> list[int]:
    chosen: list[int] = np.random.default_rng(seed).integers(3, 300, n).tolist()
    return chosen


def read(plan: Plan, tokens: list[int]) -> NDArray[np.float32]:
    return plan.forward(Batch.of(tokens, plan.new_sequence(), "all"))


@pytest.mark.usefixtures("selected_level")
class TestWhatIsComputed:
    def test_threads_make_no_difference(self, load: Load) -> None:
        want = read(load(1), ids(N_BATCH))
        for n_threads in (2, 3, 5):
            np.testing.assert_array_equal(read(load(n_threads), ids(N_BATCH)), want)

    def test_a_fork_continues_as_its_origin(self, plan: Plan) -> None:
        origin = plan.new_sequence()
        plan.forward(Batch.of(ids(30), origin, "none"))
        fork = origin.fork()
        a = plan.forward(Batch.of([5, 6], origin, "all"))
        b = plan.forward(Batch.of([7, 8], fork, "all"))
        c = plan.forward(Batch.of([9], origin))
        assert not np.array_equal(a, b)
        for more, rows in (([5, 6, 9], np.concatenate([a, c])), ([7, 8], b)):
            alone = plan.new_sequence()
            plan.forward(Batch.of(ids(30), alone, "none"))
            np.testing.assert_array_equal(
                plan.forward(Batch.of(more, alone, "all")), rows
            )

    def test_truncated_tokens_are_forgotten(self, plan: Plan) -> None:
        sequence = plan.new_sequence()
        plan.forward(Batch.of(ids(28), sequence, "none"))  # too few rows for tiles
        sequence.truncate(17)
        got = plan.forward(Batch.of([11], sequence))
        fresh = plan.new_sequence()
        plan.forward(Batch.of(ids(28)[:17], fresh, "none"))
        np.testing.assert_array_equal(got, plan.forward(Batch.of([11], fresh)))

    def test_sequences_in_one_batch_do_not_see_each_other(self, plan: Plan) -> None:
        texts = [ids(n, seed=n) for n in (1, 9, 4, 16)]  # below the rows of a tile pass
        alone = [read(plan, text) for text in texts]
        together = plan.forward(
            Batch.join((text, plan.new_sequence(), "all") for text in texts)
        )
        np.testing.assert_array_equal(together, np.concatenate(alone))

    def test_only_wanted_rows_are_returned(self, plan: Plan) -> None:
        batch = Batch.of(ids(20), plan.new_sequence(), "none")
        rows = np.asarray([19, 3, 3], np.int32)
        got = plan.forward(replace(batch, wanted=rows))
        np.testing.assert_array_equal(got, read(plan, ids(20))[rows])
        assert plan.forward(Batch.of(ids(3), plan.new_sequence(), "none")).shape[0] == 0

    def test_python_threads_may_share_it(self, plan: Plan) -> None:
        texts = [ids(10 + n, seed=n) for n in range(8)]
        want = [read(plan, text) for text in texts]
        with ThreadPoolExecutor(8) as threads:
            got = list(threads.map(lambda text: read(plan, text), texts * 3))
        for a, b in zip(got, want * 3, strict=True):
            np.testing.assert_array_equal(a, b)

    def test_one_of_those_that_continue_a_sequence_alike_comes_first(
        self, plan: Plan
    ) -> None:
        sequence = plan.new_sequence()
        batches = [Batch.of([token], sequence) for token in ids(8)]

        def is_run(batch: Batch) -> bool:
            try:
                plan.forward(batch)
            except ArgumentError:
                return False
            return True

        with ThreadPoolExecutor(8) as threads:
            assert sum(threads.map(is_run, batches)) == 1
        assert sequence.n_past == 1


class TestWhatIsRefused:
    def refuse(self, plan: Plan, batch: Batch, match: str) -> None:
        held = [sequence.n_past for sequence in batch.sequences]
        with pytest.raises(ArgumentError, match=match):
            plan.forward(batch)
        assert [sequence.n_past for sequence in batch.sequences] == held

    @pytest.mark.parametrize("bad", [-1, 10**6])
    def test_tokens_out_of_the_vocabulary(self, plan: Plan, bad: int) -> None:
        batch = Batch.of([5, bad, 6], plan.new_sequence())
        self.refuse(plan, batch, rf"tokens: wanted 0 to \d+, found {bad}")

    def test_more_rows_than_a_batch(self, plan: Plan) -> None:
        batch = Batch.of(ids(N_BATCH + 1), plan.new_sequence())
        self.refuse(plan, batch, f"rows: wanted 1 to {N_BATCH}, found {N_BATCH + 1}")
        self.refuse(plan, Batch.of([], plan.new_sequence()), "rows: .* found 0")

    def test_positions_that_do_not_continue(self, plan: Plan) -> None:
        batch = Batch.of(ids(3), plan.new_sequence())
        later = replace(batch, positions=batch.positions + np.int32(1))
        self.refuse(plan, later, "continue its sequence at 0, found 1")
        gap = replace(batch, positions=np.asarray([0, 2, 3], np.int32))
        self.refuse(plan, gap, "consecutive")

    @pytest.mark.parametrize("length", [0, 2, 4])
    def test_fields_of_unlike_lengths(self, plan: Plan, length: int) -> None:
        batch = Batch.of(ids(3), plan.new_sequence())
        positions = np.arange(length, dtype=np.int32)
        match = f"wanted 3, one for each token, found {length}"
        self.refuse(plan, replace(batch, positions=positions), f"positions: {match}")
        sequences = batch.sequences[:1] * length
        self.refuse(plan, replace(batch, sequences=sequences), f"sequences: {match}")

    def test_tokens_there_is_no_memory_for(
        self, plan: Plan, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second = plan.new_sequence(), plan.new_sequence()
        want = plan.forward(Batch.of(ids(20), first, "all"))

        def fail(nbytes: int) -> pages.Page:
            raise MemoryError

        with monkeypatch.context() as patch:
            patch.setattr(pages, "Page", fail)
            with pytest.raises(OutOfMemoryError):
                both = Batch.join([([5], first, "last"), ([6], second, "last")])
                plan.forward(both)
        assert (first.n_past, second.n_past) == (20, 0)
        got = plan.forward(Batch.of(ids(20), second, "all"))
        np.testing.assert_array_equal(got, want)

    def test_rows_of_one_sequence_apart(self, plan: Plan) -> None:
        a, b = plan.new_sequence(), plan.new_sequence()
        order: list[SequenceState] = [a, b, a]
        zero = np.zeros(3, np.int32)
        self.refuse(plan, Batch(zero, zero, order, zero), "follow each other")

    def test_wanted_rows_that_are_not_there(self, plan: Plan) -> None:
        batch = Batch.of(ids(3), plan.new_sequence())
        wanted = np.asarray([3], np.int32)
        self.refuse(plan, replace(batch, wanted=wanted), "wanted: .* found 3")

    def test_a_sequence_of_another_model(self, plan: Plan, load: Load) -> None:
        batch = Batch.of(ids(3), load().new_sequence())
        self.refuse(plan, batch, "another model")

    def test_unknown_kv_type(self, load: Load) -> None:
        with pytest.raises(ArgumentError, match="kv_type: .*found 'q2'"):
            load(kv_type="q2")

    def test_closed(self, plan: Plan) -> None:
        sequence = plan.new_sequence()
        plan.close()
        plan.close()
        with pytest.raises(ClosedError):
            plan.forward(Batch.of([5], sequence))

    def test_a_closed_plan_holds_no_weights(self, plan: Plan) -> None:
        held = weakref.ref(plan._weights["output_norm.weight"])
        assert held() is not None
        plan.close()
        gc.collect()
        assert held() is None
