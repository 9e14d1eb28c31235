"""Put the results of `peers.py` into bench/RESULTS.md, and the newest into README.md.

    python bench/report.py            # writes the tables, and the figures (matplotlib)
    python bench/report.py --check    # writes nothing; fails if something is stale

Reads `bench/results/<version>-<machine>-peers.json`, the latest version of each
machine, and writes between the two markers of a page: into RESULTS.md a table and a
figure for each machine, into README.md the table of the latest date.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from measurements import Report, digest, engines, latest_reports, rate, test_name

ROOT = Path(__file__).resolve().parents[1]
RESULTS = "bench/results"
README, ALL_RESULTS = "README.md", "bench/RESULTS.md"
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


def caption(stem: str, report: Report, folder: str) -> str:
    """Return the sentences above a table; `folder` of the results is for links."""
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
        f"Medians of {n_repetitions} ([all runs]({folder}/{stem}.json)), beside "
        f"{', '.join(peers) or 'no peer'}.",
    ]
    return " ".join(filter(None, sentences))


def section(stem: str, report: Report) -> str:
    """Return the section of RESULTS.md about one result file."""
    figure = f"![The table's numbers as bars](results/{stem}.svg)"
    return f"{caption(stem, report, 'results')}\n\n{table(report)}\n\n{figure}"


def newest(reports: dict[str, Report]) -> str:
    """Return the table of the latest date, as README.md shows it."""
    if not reports:
        return ""
    stem = max(reports, key=lambda each: str(reports[each]["date"]))
    return f"{caption(stem, reports[stem], RESULTS)}\n\n{table(reports[stem])}"


def between_markers(page: str, sections: list[str], name: str) -> str:
    """Return the text of a page with new sections between its markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        sys.exit(f"{name}: wanted the lines {BEGIN} and {END}, found not both")
    return "\n\n".join([before + begin, *sections, end + after])


def pages(root: Path, reports: dict[str, Report]) -> dict[str, tuple[str, str]]:
    """Return each page's text, as it is and as it should be, by its name."""
    sections = {
        README: [newest(reports)],
        ALL_RESULTS: [section(stem, report) for stem, report in reports.items()],
    }
    texts = {name: (root / name).read_text(encoding="utf-8") for name in sections}
    return {
        name: (text, between_markers(text, sections[name], name))
        for name, text in texts.items()
    }


def problems(root: Path) -> list[str]:
    """List the differences between the results and the pages or the figures."""
    reports = latest_reports(root / RESULTS)
    found = [
        f"{name} is not what {RESULTS} gives"
        for name, (text, wanted) in pages(root, reports).items()
        if text != wanted
    ]
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
    for name, (_, wanted) in pages(root, reports).items():
        (root / name).write_text(wanted, encoding="utf-8", newline="\n")


def main() -> None:
    """Run as a command."""
    parser = argparse.ArgumentParser(description="Results of peers.py into tables.")
    parser.add_argument("--check", action="store_true", help="write nothing")
    if not parser.parse_args().check:
        write(ROOT)
    elif found := problems(ROOT):
        sys.exit("\n".join([*found, "run python bench/report.py"]))


if __name__ == "__main__":
    main()
