"""The report of `llamacy perplexity --kl-divergence`, in llama.cpp's layout."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llamacy.quality.statistics import Distribution, Estimate, KLDivergence

CHUNK_HEADING = (
    "chunk             PPL               ln(PPL(Q)/PPL(base))          KL Divergence"
    "              Δp RMS            Same top p"
)


def chunk_line(so_far: KLDivergence) -> str:
    """Return a row under `CHUNK_HEADING`: the figures of all chunks so far."""
    return (
        f"{so_far.n_chunks:4d}    {_pair(so_far.perplexity, '9.4f')}"
        f"    {_pair(so_far.log_ratio, '10.5f')}"
        f"    {_pair(so_far.kld.mean, '10.5f')}"
        f"    {_pair(so_far.rms_p_diff, '6.3f', 100)} %"
        f"    {_pair(so_far.same_top, '6.3f', 100)} %"
    )


def report(done: KLDivergence) -> str:
    """Return all figures, each on a line of its own, under three headings."""
    perplexities = {
        "Mean PPL(Q)": done.perplexity,
        "Mean PPL(base)": done.base_perplexity,
        "Mean ln(PPL(Q)/PPL(base))": done.log_ratio,
        "Mean PPL(Q)/PPL(base)": done.ratio,
        "Mean PPL(Q)-PPL(base)": done.difference,
    }
    lines = [f"{name:30}: {_pair(value)}" for name, value in perplexities.items()]
    name = "Cor(ln(PPL(Q)), ln(PPL(base)))"
    lines.insert(2, f"{name}: {100 * done.correlation:6.2f}%")
    return "\n".join(
        [
            "====== Perplexity statistics ======",
            *lines,
            "\n====== KL divergence statistics ======",
            f"Mean    KLD: {_pair(done.kld.mean)}",
            *_spread("KLD", done.kld, "10.6f", 1, ""),
            "\n====== Token probability statistics ======",
            f"Mean    Δp: {_pair(done.p_diff.mean, '6.3f', 100)} %",
            *_spread("Δp", done.p_diff, "6.3f", 100, "%"),
            f"RMS Δp    : {_pair(done.rms_p_diff, '6.3f', 100)} %",
            f"Same top p: {_pair(done.same_top, '6.3f', 100)} %",
        ]
    )


def as_json(done: KLDivergence) -> dict[str, Any]:
    """Return a dict of plain values, with None for NaN and infinity."""
    plain: dict[str, Any] = _plain(asdict(done))
    return plain


def _spread(
    name: str, spread: Distribution, form: str, factor: float, unit: str
) -> list[str]:
    """Return lines for the largest value, percentiles, median and smallest value."""
    rows = [(f"{percent:4.1f}%  ", x) for percent, x in spread.percentiles.items()]
    upper = sum(percent > 50 for percent in spread.percentiles)
    rows.insert(upper, ("Median ", spread.median))
    rows = [("Maximum", spread.maximum), *rows, ("Minimum", spread.minimum)]
    return [f"{label} {name}: {factor * x:{form}}{unit}" for label, x in rows]


def _pair(estimate: Estimate, form: str = "10.6f", factor: float = 1) -> str:
    value, error = estimate
    return f"{factor * value:{form}} ± {factor * error:{form}}"


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
