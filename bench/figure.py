"""The figure of one result file: a bar for each engine, with minimum and maximum.

The same results give the same bytes: ids are seeded, and no date is written.
"""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from measurements import engines, rate, test_name

COLOURS = ["#1f6feb", "#8b949e", "#c9a227", "#6e5494"]  # of the engines, in order
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "llamacy",
    "svg.fonttype": "none",  # text stays text: small files, readable diffs
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw(report: dict[str, Any], digest: str, path: Path) -> None:
    """Write the figure as SVG, with `digest` of the results in its metadata."""
    rows = report["results"]
    tests = list(dict.fromkeys(test_name(row) for row in rows))
    n_models = len({row["model"] for row in rows})
    n_bars = n_models * len(engines(report))
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # independent of the user's matplotlibrc
        matplotlib.rcParams.update(STYLE)
        figure = Figure(
            figsize=(4.2 * len(tests), 1.3 + 0.24 * n_bars), layout="constrained"
        )
        all_axes = figure.subplots(1, len(tests), squeeze=False)[0]
        for axes, test in zip(all_axes, tests, strict=True):
            draw_test(axes, [row for row in rows if test_name(row) == test], report)
            axes.set_title(f"{test}, tokens per second")
        bars, names = all_axes[0].get_legend_handles_labels()
        figure.legend(bars, names, loc="outside lower center", ncols=len(names))
        metadata = {"Date": None, "Creator": None, "Identifier": digest}
        svg = StringIO()
        figure.savefig(svg, format="svg", metadata=metadata)
    lines = (line.rstrip() + "\n" for line in svg.getvalue().splitlines())
    path.write_text("".join(lines), encoding="utf-8", newline="\n")


def draw_test(axes: Axes, rows: list[dict[str, Any]], report: dict[str, Any]) -> None:
    """Draw the bars of one test: a group for each model, the first one on top."""
    models = list(dict.fromkeys(row["model"] for row in rows))
    names = engines(report)
    height = 0.8 / len(names)
    for i, name in enumerate(names):
        own = [row for row in rows if row["engine"] == name]
        values = [row["tokens_per_second"] for row in own]
        below = [row["tokens_per_second"] - min(row["repetitions"]) for row in own]
        above = [max(row["repetitions"]) - row["tokens_per_second"] for row in own]
        offset = (i - (len(names) - 1) / 2) * height
        bars = axes.barh(
            [models.index(row["model"]) + offset for row in own],
            values,
            height,
            xerr=[below, above],
            error_kw={"elinewidth": 0.8, "ecolor": "#444444"},
            color=COLOURS[i % len(COLOURS)],
            label=name,
        )
        axes.bar_label(bars, [rate(value) for value in values], padding=3)
    axes.set_yticks(range(len(models)), models)
    axes.invert_yaxis()
    axes.margins(x=0.15)
