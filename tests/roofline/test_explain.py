"""Where the time of a pass goes: all steps are there, and add up to the pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llamacy.errors import ArgumentError
from llamacy.formats.gguf.config import read_config
from llamacy.formats.gguf.file import open_gguf
from llamacy.kernels.levels import Level
from llamacy.model.executors import load_executor
from llamacy.ops.plan.cost import Cost
from llamacy.ops.plan.plan import Plan
from llamacy.roofline import Roofline
from llamacy.roofline.explain import by_kind, explain, least_seconds

LIMITS = Roofline(
    read_bytes_per_second=1e9, read_bytes=2**20, ops_per_second=1e10, operand="int8"
)


@pytest.fixture
def load(babble_model: Path) -> Callable[..., Any]:
    def make(kind: Any = "plan", n_threads: int = 2) -> Any:
        with open_gguf(babble_model) as file:
            config = read_config(file)
            return load_executor(
                file, config, executor=kind, n_threads=n_threads, n_batch=48
            )

    return make


@pytest.fixture
def plan(load: Callable[..., Plan]) -> Iterator[Plan]:
    loaded = load()
    yield loaded
    loaded.close()


@pytest.mark.parametrize(
    ("n_rows", "n_past", "n_wanted"), [(1, 0, 1), (1, 70, 1), (48, 0, 0), (9, 50, 9)]
)
def test_sums_are_those_of_the_pass(
    plan: Plan, n_rows: int, n_past: int, n_wanted: int
) -> None:
    explained = explain(
        plan, n_rows, n_past=n_past, n_wanted=n_wanted, repetitions=2, limits=LIMITS
    )
    report, kinds = explained.report, explained.kinds
    assert report.cost == plan.cost(n_past, n_rows, n_wanted)
    assert sum((kind.cost for kind in kinds), Cost()) == report.cost
    assert sum(kind.n_steps for kind in kinds) == len(report.steps)
    assert sum(kind.share for kind in kinds) == pytest.approx(1)
    of_steps = sum(step.seconds for step in report.steps)
    assert sum(kind.seconds for kind in kinds) == pytest.approx(of_steps)
    assert report.seconds > 0
    assert all(step.seconds >= 0 for step in report.steps)
    assert of_steps > 0
    assert [kind.seconds for kind in kinds] == sorted(
        (kind.seconds for kind in kinds), reverse=True
    )
    assert plan.n_pages_used == 0  # all sequences are closed


def test_kinds_shapes_and_kernels_are_named(
    selected_level: Level, load: Callable[..., Plan]
) -> None:
    explained = explain(load(), 40, with_limits=False, repetitions=1)
    report = explained.report
    assert report.level == selected_level.name
    assert (report.n_threads, report.n_rows, report.n_past) == (2, 40, 0)
    assert explained.limits is None
    by_name = {kind.kind: kind for kind in explained.kinds}
    n_layer = by_name["append"].n_steps
    assert by_name["append"].kernels == ("f16",)
    assert by_name["linear swiglu"].n_steps == n_layer
    assert all(kind.least_seconds is None for kind in explained.kinds)
    shapes = {step.kind: step.shape for step in report.steps}
    assert shapes["wanted"].startswith("(1, ")
    assert shapes["linear swiglu"].startswith("(40, ")
    assert " heads, 40 positions" in next(
        shape for kind, shape in shapes.items() if kind.startswith("attention")
    )
    products = [step for step in report.steps if step.kind.startswith("linear")]
    assert {step.kernel for step in products} <= {"few rows", "many rows"}
    assert {step.kernel for step in report.steps if step not in products} <= {"", "f16"}


def test_a_step_needs_the_time_of_reading_or_of_computing() -> None:
    assert least_seconds(Cost(10**9, 10**9), LIMITS) == 1
    assert least_seconds(Cost(10**6, 10**11), LIMITS) == 10
    assert least_seconds(Cost(), LIMITS) == 0


def test_the_least_time_of_a_kind_is_that_of_its_steps(plan: Plan) -> None:
    report = plan.explain(4, repetitions=1)
    for kind in by_kind(report, LIMITS):
        steps = [step for step in report.steps if step.kind == kind.kind]
        want = sum(least_seconds(step.cost, LIMITS) for step in steps)
        assert kind.least_seconds == pytest.approx(want)


@pytest.mark.parametrize(
    "options",
    [
        {"n_rows": 0},
        {"n_rows": 49},
        {"n_rows": 2, "n_wanted": 3},
        {"n_rows": 1, "n_past": -1},
        {"n_rows": 1, "repetitions": 0},
        {"n_rows": "1"},
    ],
)
def test_passes_that_cannot_be(plan: Plan, options: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match=": wanted an integer from .*, found "):
        explain(plan, **options, with_limits=False)


def test_an_executor_without_steps_is_refused(load: Callable[..., Any]) -> None:
    match = "executor: wanted a plan, which has steps, found a ReferenceExecutor"
    with pytest.raises(ArgumentError, match=match):
        explain(load("reference"), 1)
