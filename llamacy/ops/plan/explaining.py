"""A pass explained step by step: shapes, kernels, bytes, operations and seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llamacy.arguments import MAX_CTX, checked_integer
from llamacy.ops.batch import Batch
from llamacy.ops.plan.compiling import CompiledPass
from llamacy.ops.plan.cost import Cost, step_cost
from llamacy.ops.plan.step import Buffer, Step
from llamacy.ops.state.layout import StateSlot
from llamacy.ops.state.sequence import SequenceState

MAX_REPETITIONS = 1000
"""Most passes that are timed."""

_SEED = 0

Clock: TypeAlias = NDArray[np.float64]
"""Receives the seconds of each step of a pass: (n_steps,)."""


@dataclass(frozen=True, slots=True)
class StepReport:
    """One step of a pass.

    Attributes
    ----------
    kind : str
        The operation, its form, and operations fused into it: `linear add`.
    shape : str
        Shapes of its operands.
    kernel : str
        The kernel that was chosen, where there is a choice; otherwise empty.
    cost : Cost
        Bytes that it must read, and operations.
    seconds : float
        From the end of the step before until all its items were done.
    """

    kind: str
    shape: str
    kernel: str
    cost: Cost
    seconds: float

    @classmethod
    def of(
        cls,
        step: Step,
        kernel: str,
        first: int,
        n_rows: int,
        n_wanted: int,
        seconds: float,
    ) -> StepReport:
        """Describe a step of a pass over `n_rows` tokens from position `first` on."""
        m = n_wanted if step.of_wanted else n_rows
        slot = step.reads.get("state", step.writes.get("state"))
        if isinstance(slot, StateSlot):
            kernel = slot.kv_type
        cost = step_cost(step, first, n_rows, n_wanted)
        return cls(step.kind, _shape(step, m, first + n_rows), kernel, cost, seconds)


@dataclass(frozen=True, slots=True)
class PassReport:
    """One pass: its rows, and what each of its steps took.

    Attributes
    ----------
    level : str
        Instruction-set level of the kernels.
    n_threads : int
        Threads that ran it.
    n_rows, n_past, n_wanted : int
        Rows of the pass, tokens before them, and rows whose logits were wanted.
    steps : tuple of StepReport
        In the order in which they run.
    seconds : float
        How long a pass takes without a clock in it. Steps that need not wait for each
        other overlap then; but threads are started, and the last one is waited for.
    """

    level: str
    n_threads: int
    n_rows: int
    n_past: int
    n_wanted: int
    steps: tuple[StepReport, ...]
    seconds: float

    @property
    def cost(self) -> Cost:
        """Bytes and operations of all steps."""
        return sum((step.cost for step in self.steps), Cost())


class TimedExecutor(Protocol):
    """Runs forward passes, and can tell how long each step of one took."""

    @property
    def n_batch(self) -> int:
        """Most rows of one forward pass."""

    @property
    def n_vocab(self) -> int:
        """Logits of a row."""

    def new_sequence(self) -> SequenceState:
        """Return an empty sequence."""

    def forward(
        self,
        batch: Batch,
        logits: NDArray[np.float32] | None = None,
        *,
        seconds: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float32]:
        """Run one forward pass; `seconds` (n_steps,) receives each step's time."""


class PassTimes(NamedTuple):
    """Medians of some passes: seconds of each step, and of a pass without a clock."""

    of_steps: list[float]
    of_pass: float


def explain_pass(
    plan: TimedExecutor,
    compiled: CompiledPass,
    n_rows: int,
    n_past: int,
    n_wanted: int,
    *,
    repetitions: int,
    n_threads: int,
) -> PassReport:
    """Time passes of a plan, and describe each step of its compiled pass.

    Raises
    ------
    ArgumentError
        One of the numbers is not possible.
    """
    times = time_pass(
        plan, len(compiled.steps), n_rows, n_past, n_wanted, repetitions=repetitions
    )
    return pass_report(compiled, times, n_rows, n_past, n_wanted, n_threads)


def pass_report(
    compiled: CompiledPass,
    times: PassTimes,
    n_rows: int,
    n_past: int,
    n_wanted: int,
    n_threads: int,
) -> PassReport:
    """Describe each step of a pass that was timed."""
    steps, program = compiled.steps, compiled.program
    chosen = [program.kernel_of(i, n_rows, n_wanted) for i in range(len(steps))]
    return PassReport(
        level=compiled.level,
        n_threads=n_threads,
        n_rows=n_rows,
        n_past=n_past,
        n_wanted=n_wanted,
        steps=tuple(
            StepReport.of(step, kernel, n_past, n_rows, n_wanted, seconds)
            for step, kernel, seconds in zip(steps, chosen, times.of_steps, strict=True)
        ),
        seconds=times.of_pass,
    )


def time_pass(
    plan: TimedExecutor,
    n_steps: int,
    n_rows: int,
    n_past: int,
    n_wanted: int,
    *,
    repetitions: int,
) -> PassTimes:
    """Run passes of random tokens; each a fork of the same sequence.

    Raises
    ------
    ArgumentError
        One of the numbers is not possible.
    """
    checked_integer("n_rows", n_rows, 1, plan.n_batch)
    checked_integer("n_past", n_past, 0, MAX_CTX - n_rows)
    checked_integer("n_wanted", n_wanted, 0, n_rows)
    checked_integer("repetitions", repetitions, 1, MAX_REPETITIONS)
    with random_text(plan, n_past, n_rows) as (sequence, tokens):
        batch = Batch.of(tokens, sequence, n_wanted)

        def run(clock: Clock | None) -> None:
            fork = sequence.fork()
            try:
                plan.forward(replace(batch, sequences=[fork] * n_rows), seconds=clock)
            finally:
                fork.close()

        return median_times(run, n_steps, repetitions)


@contextmanager
def random_text(
    plan: TimedExecutor, n_past: int, n_more: int
) -> Iterator[tuple[SequenceState, list[int]]]:
    """Give a sequence of random tokens within a block, and tokens that follow them.

    Parameters
    ----------
    plan : TimedExecutor
        Reads the tokens.
    n_past : int
        Tokens of the sequence.
    n_more : int
        Tokens that follow.
    """
    rng = np.random.default_rng(_SEED)
    tokens = rng.integers(plan.n_vocab, size=n_past + n_more).tolist()
    sequence = plan.new_sequence()
    sequence.adapted_from = 0  # with the adapters, if tokens activate them
    try:
        for first in range(0, n_past, plan.n_batch):
            part = tokens[first : min(first + plan.n_batch, n_past)]
            plan.forward(Batch.of(part, sequence, "none"))
        yield sequence, tokens[n_past:]
    finally:
        sequence.close()


def median_times(
    run: Callable[[Clock | None], object], n_steps: int, repetitions: int
) -> PassTimes:
    """Time a pass, with a clock in it and without.

    Parameters
    ----------
    run : callable
        Runs the pass. An array given to it, (n_steps,), receives each step's seconds.
    n_steps : int
        Steps of the pass.
    repetitions : int
        How often it is run either way.
    """
    clocks = np.zeros((repetitions, n_steps))
    whole = []
    run(None)  # for caches, pages and threads to be there
    for clock in clocks:
        run(clock)
        start = perf_counter()
        run(None)
        whole.append(perf_counter() - start)
    return PassTimes(np.median(clocks, axis=0).tolist(), median(whole))


def _shape(step: Step, m: int, n_positions: int) -> str:
    """Describe a step's operands, whose rows are `m`."""
    if step.op in ("embedding", "position_embedding"):
        return f"({m}) of {_dims(step.constants['weight'])}"
    if step.op in ("linear", "experts", "head_linear"):
        weight, second = step.constants["weight"], step.constants.get("weight2")
        shape = f"({m}, {weight.shape[-1]}) @ {_dims(weight)}.T"
        return f"{shape}, {_dims(second)}.T" if second else shape
    if step.op in ("attention", "scores"):
        slot = step.reads["state"]
        assert isinstance(slot, StateSlot)
        return f"({m}, {step.constants['n_head']}) heads, {n_positions} positions"
    width = step.constants.get("n", 0) * step.constants.get("n_parts", 1)
    width = width or _width(step)
    return f"({m}, {width})" if width else f"({m})"


def _width(step: Step) -> int:
    """Return the width of the rows that a step writes, in whole vectors; 0 if none."""
    for each in step.writes.values():
        if isinstance(each, Buffer) and len(each.shape) == 2:
            return each.shape[1]
    return 0


def _dims(weight: Any) -> str:
    return f"{weight.type_name}({', '.join(map(str, weight.shape))})"
