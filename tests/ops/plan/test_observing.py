"""Observed plans: steps that add up squares change nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import llamacy
from llamacy.errors import ClosedError
from llamacy.ops.batch import Batch
from llamacy.ops.plan.plan import Plan


@pytest.fixture
def plan() -> Iterator[Plan]:
    with llamacy.load("demo", n_threads=2, n_batch=16) as model:
        executor = model.executor
        assert isinstance(executor, Plan)
        yield executor


def test_logits_are_the_same_and_only_whole_steps_are_added(plan: Plan) -> None:
    observed, observer = plan.observed(lambda name: name.startswith("blk.1."))
    tokens = list(range(10, 26))
    want = plan.forward(Batch.of(tokens, plan.new_sequence(), "all"))
    got = observed.forward(Batch.of(tokens, observed.new_sequence(), "all"))
    np.testing.assert_array_equal(got, want)
    assert {name.split(".")[1] for name in observer.squares} == {"1"}
    steps = observed._open_pass().steps
    added = [each.op for each in steps].count("squares")
    assert len(steps) == len(plan._open_pass().steps) + added
    # of the input of q, k and v, of attn_output, of gate and up, and of ffn_down
    assert added == 4
    assert len(observer.squares) == 7


def test_rows_of_all_passes_add_up(plan: Plan) -> None:
    observed, observer = plan.observed(lambda name: name == "blk.0.attn_q.weight")
    (squares,) = observer.squares.values()
    sequence = observed.new_sequence()
    for first in (0, 16):
        tokens = list(range(first, first + 16))
        observed.forward(Batch.of(tokens, sequence, "none"))
    assert squares.counts.tolist() == [32]
    half = squares.sums.copy()
    again = observed.new_sequence()
    for first in (0, 16):
        tokens = list(range(first, first + 16))
        observed.forward(Batch.of(tokens, again, "last"))
    np.testing.assert_allclose(squares.sums, 2 * half, rtol=1e-12)


def test_a_closed_plan_cannot_be_observed(plan: Plan) -> None:
    plan.close()
    with pytest.raises(ClosedError):
        plan.observed(lambda name: True)
