"""What a plan tells of its passes: kernels, and seconds that change nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest

from llamacy.ops.batch import Batch

if TYPE_CHECKING:
    from tests.ops.conftest import Executors


@pytest.mark.usefixtures("selected_level")
def test_floats_of_many_rows_are_multiplied_in_blocks(
    transformer: Callable[..., Executors],
) -> None:
    plan = transformer("F16").plan(n_batch=48)
    kernels = [
        step.kernel
        for step in plan.explain(48, repetitions=1).steps
        if step.kind == "linear add"
    ]
    assert set(kernels) == {"many rows"}
    alone = plan.explain(1, repetitions=1).steps
    assert {step.kernel for step in alone if step.kind == "linear add"} == {"few rows"}


def test_a_clock_changes_nothing_that_is_computed(
    transformer: Callable[..., Executors],
) -> None:
    plan = transformer("Q8_0").plan(n_threads=2)
    ids = list(range(3, 43))
    want = plan.forward(Batch.of(ids, plan.new_sequence(), "all"))
    n_steps = len(plan.explain(1, repetitions=1).steps)
    seconds = np.zeros(n_steps)
    sequence = plan.new_sequence()
    got = plan.forward(Batch.of(ids, sequence, "all"), seconds=seconds)
    np.testing.assert_array_equal(got, want)
    assert (seconds >= 0).all() and seconds.sum() > 0
    with pytest.raises(ValueError, match=f"seconds: wanted {n_steps} steps, found 1"):
        plan.forward(Batch.of([5], sequence), seconds=np.zeros(1))
