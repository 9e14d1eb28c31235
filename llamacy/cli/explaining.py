"""`llamacy bench --explain`: where the time of a pass goes, step by step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llamacy.roofline.explain import Explanation, KindReport


def explain_passes(
    source: str,
    path: Path,
    *,
    n_prompt: int,
    n_gen: int,
    repetitions: int,
    n_threads: int | None,
    kv_type: str,
    quantize: str | None,
    with_limits: bool,
    as_json: bool,
) -> None:
    """Explain a pass of a prompt, one of generating after it, and its draft's."""
    from llamacy.cli.options import load_model
    from llamacy.roofline.explain import explain, explain_draft

    explained: dict[str, Explanation] = {}
    with load_model(str(path), quantize, n_threads=n_threads, kv_type=kv_type) as model:
        n_prompt = min(n_prompt, model.executor.n_batch, model.n_ctx - 1)
        limits = None
        n_gen = n_gen if model.config.is_causal else 0
        for name, n_rows, n_past in (("prompt", n_prompt, 0), ("decode", 1, n_prompt)):
            if n_rows == 0 or (name == "decode" and n_gen == 0):
                continue
            explained[name] = explain(
                model.executor,
                n_rows,
                n_past=n_past,
                repetitions=repetitions,
                limits=limits,
                with_limits=with_limits,
            )
            limits = explained[name].limits
        if model.config.has_mtp and n_gen:
            explained["draft"] = explain_draft(
                model.executor,
                n_past=max(1, n_prompt),
                repetitions=repetitions,
                limits=limits,
                with_limits=with_limits,
            )
    if as_json:
        from json import dumps

        passes = {name: as_dict(each) for name, each in explained.items()}
        print(dumps({"model": source, "passes": passes}, ensure_ascii=False))
        return
    for name, each in explained.items():
        if name == "draft":
            print("the MTP head alone, which drafts one token:")
        _print(each)


def as_dict(explained: Explanation) -> dict[str, Any]:
    """Return an explanation as JSON has it."""
    from dataclasses import asdict

    report = explained.report
    return {
        **asdict(report),
        "kinds": [asdict(kind) for kind in explained.kinds],
        "limits": explained.limits and asdict(explained.limits),
    }


def _print(explained: Explanation) -> None:
    from llamacy.cli.tables import in_units, print_table

    report, limits = explained.report, explained.limits
    of_steps = sum(step.seconds for step in report.steps)
    print(
        f"{report.n_rows} row{'s' * (report.n_rows > 1)} after {report.n_past} tokens, "
        f"at {report.level} with {report.n_threads} threads: "
        f"{1e3 * report.seconds:.3f} ms; "
        f"{1e3 * of_steps:.3f} ms if no two steps overlap"
    )
    columns = ["step", "n", "read", "GFLOP", "ms", "%", "GB/s", "GFLOPS"]
    columns += ["least-ms"] if limits else []
    rows = [_row(kind, has_limits=limits is not None) for kind in explained.kinds]
    print_table([*columns, "kernel"], rows, right=" ".join(columns[1:]))
    if limits:
        print(
            f"least-ms: the time of reading {limits.read_bytes_per_second / 1e9:.1f} "
            f"GB/s, measured over {in_units(limits.read_bytes)}, or of computing "
            f"{limits.ops_per_second / 1e9:.0f} GFLOPS in {limits.operand}, "
            "whichever is longer\n"
        )


def _row(kind: KindReport, *, has_limits: bool) -> list[str]:
    from llamacy.cli.tables import in_units

    seconds = kind.seconds or float("inf")
    cells = [
        kind.kind,
        str(kind.n_steps),
        in_units(kind.cost.n_bytes) if kind.cost.n_bytes else "",
        f"{kind.cost.n_ops / 1e9:.3f}" if kind.cost.n_ops else "",
        f"{1e3 * kind.seconds:.3f}",
        f"{100 * kind.share:.1f}",
        f"{kind.cost.n_bytes / seconds / 1e9:.1f}" if kind.cost.n_bytes else "",
        f"{kind.cost.n_ops / seconds / 1e9:.1f}" if kind.cost.n_ops else "",
    ]
    if has_limits:
        cells.append(f"{1e3 * (kind.least_seconds or 0):.3f}")
    return [*cells, ", ".join(kind.kernels)]
