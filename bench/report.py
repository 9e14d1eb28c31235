"""Put the results of `peers.py` into README.md: a table and a figure for each machine.

    python bench/report.py            # writes the tables, and the figures (matplotlib)
    python bench/report.py --check    # writes nothing; fails if something is stale

Reads `bench/results/<version>-<machine>-peers.json`, the latest version of each
machine, and writes between the two markers in README.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from measurements import Report, digest, engines, latest_reports, rate, test_name

ROOT = Path(__file__).resolve().parents[1]
RESULTS = "bench/results"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


def table(report: Report) -> str:
    """Return the Markdown table: a row for each model and test, a column per engine."""
    names = engines(report)
    rates: dict[tuple[str, str], dict[str, float]] = {}
    for row in report["results"]:
        of_engines = rates.setdefault((row["model"], test_name(row)), {})
        of_engines[row["engine"]] = row["tokens_per_second"]
    lines = [
        ["model", "tokens per second", *names],
        ["---", "---", *["--:"] * len(names)],
    ]
    for (model, test), of_engines in rates.items():
        best = max(of_engines.values())
        cells = []
        for name in names:
            value = of_engines.get(name)
            text = "" if value is None else rate(value)
            cells.append(f"**{text}**" if value == best else text)
        lines.append([model, test, *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def section(stem: str, report: Report) -> str:
    """Return the section of README.md about one result file."""
    peers = [
        f"{name} {version}"
        for name, version in report["versions"].items()
        if name != "llamacy"
    ]
    n_repetitions = min(len(row["repetitions"]) for row in report["results"])
    measured = f"{report['n_threads']} threads, {report['isa']}, {report['date']}"
    sentences = [
        f"**{report['cpu']}**, {measured}.",
        report["note"],
        f"Medians of {n_repetitions} ([all runs]({RESULTS}/{stem}.json)), beside "
        f"{', '.join(peers) or 'no peer'}.",
    ]
    figure = f"![The table's numbers as bars]({RESULTS}/{stem}.svg)"
    caption = " ".join(filter(None, sentences))
    return f"{caption}\n\n{table(report)}\n\n{figure}"


def with_sections(readme: str, reports: dict[str, Report]) -> str:
    """Return the text of README.md with new sections between its markers."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        sys.exit(f"README.md: wanted the lines {BEGIN} and {END}, found not both")
    sections = [section(stem, report) for stem, report in reports.items()]
    return "\n\n".join([before + begin, *sections, end + after])


def problems(root: Path) -> list[str]:
    """List the differences between the results and README.md or the figures."""
    reports = latest_reports(root / RESULTS)
    readme = (root / "README.md").read_text(encoding="utf-8")
    found = []
    if with_sections(readme, reports) != readme:
        found.append(f"README.md is not what {RESULTS} gives")
    for stem, report in reports.items():
        path = root / RESULTS / f"{stem}.svg"
        if not path.exists():
            found.append(f"{path.name} is missing")
        elif digest(report) not in path.read_text(encoding="utf-8"):
            found.append(f"{path.name} is not of {stem}.json")
    return found


def write(root: Path) -> None:
    """Write the tables and the figures."""
    from figure import draw

    reports = latest_reports(root / RESULTS)
    for stem, report in reports.items():
        draw(report, digest(report), root / RESULTS / f"{stem}.svg")
    path = root / "README.md"
    readme = with_sections(path.read_text(encoding="utf-8"), reports)
    path.write_text(readme, encoding="utf-8", newline="\n")


def main() -> None:
    """Run as a command."""
    parser = argparse.ArgumentParser(description="Results of peers.py into README.md.")
    parser.add_argument("--check", action="store_true", help="write nothing")
    if not parser.parse_args().check:
        write(ROOT)
    elif found := problems(ROOT):
        sys.exit("\n".join([*found, "run python bench/report.py"]))


if __name__ == "__main__":
    main()
