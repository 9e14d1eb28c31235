"""The costs that `llamacy bench` reports are those of the passes it runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from llamacy.cli.bench import generate, read_prompt
from llamacy.cli.limits import compare, generation_cost, greatest, prompt_cost
from llamacy.formats.gguf.config import read_config
from llamacy.formats.gguf.file import open_gguf
from llamacy.model.executors import load_executor
from llamacy.ops.batch import Batch
from llamacy.ops.plan.cost import Cost
from llamacy.ops.plan.plan import Plan

N_BATCH = 16


@pytest.fixture
def plan(babble_model: Path) -> Iterator[Plan]:
    with open_gguf(babble_model) as file:
        loaded = load_executor(file, read_config(file), n_batch=N_BATCH)
    assert isinstance(loaded, Plan)
    yield loaded
    loaded.close()


@pytest.fixture
def run(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> list[Cost]:
    """A list that collects the cost of each pass that `plan` runs."""
    costs: list[Cost] = []
    forward = plan.forward

    def count(batch: Batch) -> object:
        first, n_rows = int(batch.positions[0]), len(batch.tokens)
        costs.append(plan.cost(first, n_rows, len(batch.wanted)))
        return forward(batch)

    monkeypatch.setattr(plan, "forward", count)
    return costs


@pytest.mark.parametrize("n_tokens", [1, N_BATCH, N_BATCH + 1, 3 * N_BATCH - 1])
def test_the_cost_of_a_prompt_is_that_of_its_passes(
    plan: Plan, run: list[Cost], n_tokens: int
) -> None:
    read_prompt(plan, [5] * n_tokens)
    assert prompt_cost(plan, n_tokens) == sum(run, Cost())


def test_the_cost_of_generating_is_that_of_its_passes(
    plan: Plan, run: list[Cost]
) -> None:
    generate(plan, [5] * 20)
    assert len(run) == 20
    assert generation_cost(plan, 20) == sum(run, Cost())


def test_the_greatest_limits_come_from_several_measurements() -> None:
    before = {"read_gb_s": 12.0, "read_bytes": 8, "peak_tflops": 0.8, "operand": "f32"}
    after = before | {"read_gb_s": 9.0, "peak_tflops": 0.9, "operand": "int8"}
    best = {"read_gb_s": 12.0, "read_bytes": 8, "peak_tflops": 0.9, "operand": "int8"}
    assert greatest(before, after) == greatest(after, before) == best


def test_rates_are_compared_with_the_limits_in_percent() -> None:
    cost = Cost(n_bytes=6 * 10**9, n_ops=10**12)
    limits = {"read_gb_s": 12.0, "peak_tflops": 0.8}
    assert compare(cost, 2.0, limits) == {
        "gb_per_second": 3.0,
        "tflops": 0.5,
        "percent_of_bandwidth": 25.0,
        "percent_of_peak": 62.5,
    }
    assert compare(cost, 2.0, None)["percent_of_peak"] is None
