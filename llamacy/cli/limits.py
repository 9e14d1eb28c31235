"""Comparing a benchmark with the machine's limits.

The limits are measured by `llamacy.roofline`. The cost of the work is computed by
`llamacy.ops.plan.cost` as the minimum needed: extra work, such as multiplying a Q8_0
weight with two digits of an activation, does not raise the percentage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llamacy.ops.plan.cost import Cost
    from llamacy.ops.plan.plan import Plan


def prompt_cost(plan: Plan, n_tokens: int) -> Cost:
    """Return the cost of prefilling a prompt, in as many passes as needed."""
    from llamacy.ops.plan.cost import Cost

    total = Cost()
    for first in range(0, n_tokens, plan.n_batch):
        n_rows = min(plan.n_batch, n_tokens - first)
        total += plan.cost(first, n_rows, int(first + n_rows == n_tokens))
    return total


def generation_cost(plan: Plan, n_tokens: int) -> Cost:
    """Return the cost of generating tokens one by one, after an empty prompt."""
    from llamacy.ops.plan.cost import Cost

    return sum((plan.cost(first, 1, 1) for first in range(n_tokens)), Cost())


def measure_limits(plan: Plan, n_threads: int, level: str) -> dict[str, Any]:
    """Measure this machine's limits, for about a second; keys as in the JSON report."""
    from llamacy.roofline import measure

    limits = measure(n_threads, level, plan.cost(0, 1, 1).n_bytes)
    return {
        "read_gb_s": limits.read_bytes_per_second / 1e9,
        "read_bytes": limits.read_bytes,
        "peak_tflops": limits.ops_per_second / 1e12,
        "operand": limits.operand,
    }


def greatest(*measurements: dict[str, Any]) -> dict[str, Any]:
    """Return the highest limits of several measurements."""
    read = max(measurements, key=lambda limits: float(limits["read_gb_s"]))
    peak = max(measurements, key=lambda limits: float(limits["peak_tflops"]))
    return read | {name: peak[name] for name in ("peak_tflops", "operand")}


def compare(
    cost: Cost, seconds: float, limits: dict[str, Any] | None
) -> dict[str, float | None]:
    """Return the rates of work of this cost, and their percentages of the limits."""
    gb_per_second, tflops = cost.n_bytes / seconds / 1e9, cost.n_ops / seconds / 1e12
    percentages: dict[str, float | None] = {
        "percent_of_bandwidth": None,
        "percent_of_peak": None,
    }
    if limits is not None:
        percentages = {
            "percent_of_bandwidth": 100 * gb_per_second / limits["read_gb_s"],
            "percent_of_peak": 100 * tflops / limits["peak_tflops"],
        }
    return {"gb_per_second": gb_per_second, "tflops": tflops, **percentages}
