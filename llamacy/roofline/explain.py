"""Where the time of a pass goes: its steps, by kind, beside what the machine could do.

The plan tells what each step must read and compute, and how long it took
(`llamacy.ops.plan.explaining`). A step needs at least the time of reading its bytes as
fast as this machine reads memory, or of its operations as fast as it multiplies,
whichever is longer (`llamacy.roofline`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llamacy.errors import ArgumentError
from llamacy.ops.plan.cost import Cost
from llamacy.ops.plan.explaining import PassReport, StepReport
from llamacy.roofline import Roofline, measure

if TYPE_CHECKING:
    from llamacy.ops.plan.plan import Plan


@dataclass(frozen=True, slots=True)
class KindReport:
    """All steps of one kind in a pass.

    Attributes
    ----------
    kind : str
        The operation, its form, and operations fused into it: `linear add`.
    kernels : tuple of str
        The kernels that were chosen, where there is a choice.
    n_steps : int
        How many steps there are.
    cost : Cost
        Bytes that they must read, and operations, together.
    seconds : float
        How long they took together.
    share : float
        Of the seconds of all steps: 0.0 to 1.0.
    least_seconds : float or None
        How long this machine needs at least; None if its limits are not known.
    """

    kind: str
    kernels: tuple[str, ...]
    n_steps: int
    cost: Cost
    seconds: float
    share: float
    least_seconds: float | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A pass, its steps by kind, and the limits of the machine.

    Attributes
    ----------
    report : PassReport
        The pass and all of its steps.
    kinds : tuple of KindReport
        Its steps by kind, those that took longest first.
    limits : Roofline or None
        The limits of this machine; None if they were not measured.
    """

    report: PassReport
    kinds: tuple[KindReport, ...]
    limits: Roofline | None


def explain(
    executor: object,
    n_rows: int,
    *,
    n_past: int = 0,
    n_wanted: int = 1,
    repetitions: int = 5,
    limits: Roofline | None = None,
    with_limits: bool = True,
) -> Explanation:
    """Tell where the time of a pass goes.

    Parameters
    ----------
    executor : Plan
        Of a loaded model: `Model.executor`.
    n_rows : int
        Rows of the pass: 1 for decode, more for prefill; at most the executor's
        `n_batch`.
    n_past : int
        Tokens that the text has before.
    n_wanted : int
        Of how many of the last rows the logits are wanted.
    repetitions : int
        Passes that are timed; seconds are medians.
    limits : Roofline or None
        The machine's limits if they are known; None measures them, which takes a
        second.
    with_limits : bool
        False does without limits.

    Returns
    -------
    Explanation
        Steps, by kind and one by one.

    Raises
    ------
    ArgumentError
        The executor has no steps, or one of the numbers is not possible.
    OutOfMemoryError
        There is no memory to measure the machine with, or for the pages of the text.
    """
    report = _plan(executor).explain(
        n_rows, n_past=n_past, n_wanted=n_wanted, repetitions=repetitions
    )
    return _explanation(report, limits, with_limits=with_limits)


def explain_draft(
    executor: object,
    *,
    n_past: int,
    repetitions: int = 5,
    limits: Roofline | None = None,
    with_limits: bool = True,
) -> Explanation:
    """Tell where the time goes of a pass of the MTP head, which drafts a token.

    Parameters
    ----------
    executor : Plan
        Of a loaded model that has such a head.
    n_past : int
        Tokens of the text, at least 1.
    repetitions : int
        Passes that are timed; seconds are medians.
    limits : Roofline or None
        The machine's limits if they are known; None measures them.
    with_limits : bool
        False does without limits.

    Raises
    ------
    ArgumentError
        The executor has no steps or no head, or one of the numbers is not possible.
    OutOfMemoryError
        There is no memory to measure the machine with, or for the pages of the text.
    """
    report = _plan(executor).explain_draft(n_past, repetitions=repetitions)
    return _explanation(report, limits, with_limits=with_limits)


def _plan(executor: object) -> Plan:
    from llamacy.ops.plan.plan import Plan

    if not isinstance(executor, Plan):
        wanted = "a plan, which has steps"
        found = type(executor).__name__
        raise ArgumentError(f"executor: wanted {wanted}, found a {found}")
    return executor


def _explanation(
    report: PassReport, limits: Roofline | None, *, with_limits: bool
) -> Explanation:
    if limits is None and with_limits:
        limits = measure(report.n_threads, report.level, report.cost.n_bytes)
    return Explanation(report, by_kind(report, limits), limits)


def by_kind(report: PassReport, limits: Roofline | None) -> tuple[KindReport, ...]:
    """Add up the steps of each kind; the kinds that took longest come first."""
    kinds: dict[str, list[StepReport]] = {}
    for step in report.steps:
        kinds.setdefault(step.kind, []).append(step)
    total = sum(step.seconds for step in report.steps) or 1.0
    found = []
    for kind, steps in kinds.items():
        seconds = sum(step.seconds for step in steps)
        least = None
        if limits is not None:
            least = sum(least_seconds(step.cost, limits) for step in steps)
        found.append(
            KindReport(
                kind=kind,
                kernels=tuple(sorted({step.kernel for step in steps} - {""})),
                n_steps=len(steps),
                cost=sum((step.cost for step in steps), Cost()),
                seconds=seconds,
                share=seconds / total,
                least_seconds=least,
            )
        )
    return tuple(sorted(found, key=lambda each: each.seconds, reverse=True))


def least_seconds(cost: Cost, limits: Roofline) -> float:
    """Return the time of reading or of computing, whichever is longer."""
    return max(
        cost.n_bytes / limits.read_bytes_per_second, cost.n_ops / limits.ops_per_second
    )
