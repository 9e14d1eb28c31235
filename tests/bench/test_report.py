"""The benchmark tables in README.md and RESULTS.md show the measured results."""

from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
REPORT = runpy.run_path(str(ROOT / "bench" / "report.py"))
RESULTS = REPORT["RESULTS"]


def measured(*rows: tuple[str, str, str, float], depth: int = 0) -> dict[str, Any]:
    """Return a report of rows (model, engine, test, tokens per second)."""
    return {
        "date": "2025-01-31",
        "cpu": "A CPU @ 1 GHz",
        "isa": "avx2",
        "n_threads": 3,
        "versions": {"llamacy": "9.8", "peer": "1.2", "its library": "3.4"},
        "note": "A note.",
        "results": [
            {
                "model": model,
                "engine": engine,
                "test": test,
                "depth": depth,
                "tokens_per_second": rate,
                "repetitions": [rate - 1, rate, rate + 1],
            }
            for model, engine, test, rate in rows
        ],
    }


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the files that --check reads."""
    shutil.copytree(ROOT / RESULTS, tmp_path / RESULTS)
    for name in (REPORT["README"], REPORT["ALL_RESULTS"]):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_pages_and_figures_match_the_results() -> None:
    assert REPORT["problems"](ROOT) == []


def test_a_changed_result_makes_pages_and_figure_stale(checkout: Path) -> None:
    stem, report = REPORT["latest_reports"](checkout / RESULTS).popitem()
    report["results"][0]["tokens_per_second"] += 100
    report["date"] = "2999-12-31"
    (checkout / RESULTS / f"{stem}.json").write_text(json.dumps(report))
    assert REPORT["problems"](checkout) == [
        "README.md is not what bench/results gives",
        "bench/RESULTS.md is not what bench/results gives",
        f"{stem}.svg is not of {stem}.json",
    ]


def test_a_missing_figure_is_named(checkout: Path) -> None:
    stem, _ = REPORT["latest_reports"](checkout / RESULTS).popitem()
    (checkout / RESULTS / f"{stem}.svg").unlink()
    assert REPORT["problems"](checkout) == [f"{stem}.svg is missing"]


def test_table_has_a_row_per_model_and_test_and_marks_the_fastest() -> None:
    report = measured(
        ("small", "llamacy", "pp512", 1234.4),
        ("small", "peer", "pp512", 99.96),
        ("small", "llamacy", "tg64", 9.996),
        ("small", "peer", "tg64", 12.34),
        ("big", "llamacy", "pp512", 0.514),
    )
    assert REPORT["table"](report).splitlines() == [
        "| model | tokens per second | llamacy | peer |",
        "| --- | --- | --: | --: |",
        "| small | prompt of 512 | **1,234** | 100 |",
        "| small | generating 64 | 10.0 | **12.3** |",
        "| big | prompt of 512 | **0.51** |  |",
    ]


def test_depth_is_part_of_a_tests_name() -> None:
    report = measured(("small", "llamacy", "tg64", 5), depth=1024)
    assert "| generating 64 after 1024 |" in REPORT["table"](report)


def test_section_names_machine_and_peers() -> None:
    text = REPORT["section"]("1.0-box-peers", measured(("m", "llamacy", "tg8", 2)))
    caption = text.splitlines()[0]
    assert "**A CPU @ 1 GHz**, 3 threads, avx2, 2025-01-31. A note." in caption
    assert "Medians of 3 ([all runs](results/1.0-box-peers.json))" in caption
    assert caption.endswith("beside peer 1.2, its library 3.4.")
    assert text.endswith("(results/1.0-box-peers.svg)")


def test_readme_shows_the_table_of_the_latest_date() -> None:
    old = measured(("old", "llamacy", "tg8", 2))
    new = measured(("new", "llamacy", "tg8", 2)) | {"date": "2025-02-01"}
    text = REPORT["newest"]({"1.0-b-peers": new, "1.0-c-peers": old})
    assert "| new | generating 8 |" in text
    assert "old" not in text
    assert "([all runs](bench/results/1.0-b-peers.json))" in text


def test_only_text_between_the_markers_changes() -> None:
    begin, end = REPORT["BEGIN"], REPORT["END"]
    page = f"# a\n{begin}\nold\n{end}\nz\n"
    once = REPORT["between_markers"](page, ["one", "two"], "a.md")
    assert once == f"# a\n{begin}\n\none\n\ntwo\n\n{end}\nz\n"
    assert REPORT["between_markers"](once, ["one", "two"], "a.md") == once


@pytest.mark.parametrize("page", ["", "{begin}", "{end}", "{end} {begin}"])
def test_a_page_without_markers_is_refused(page: str) -> None:
    text = page.format(begin=REPORT["BEGIN"], end=REPORT["END"])
    with pytest.raises(SystemExit, match="a.md: wanted the lines <!-- bench:begin"):
        REPORT["between_markers"](text, [], "a.md")


def test_only_the_latest_version_of_each_machine_is_read(tmp_path: Path) -> None:
    stems = ["0.9.0-a-peers", "0.10.0-a-peers", "0.2.0-a-b-peers"]
    for stem in stems:
        (tmp_path / f"{stem}.json").write_text(json.dumps(stem))
    (tmp_path / "0.11.0-a.json").write_text("of pytest-benchmark, not of peers")
    latest = REPORT["latest_reports"](tmp_path)
    assert latest == {stem: stem for stem in stems[1:]}


def test_a_result_file_without_version_in_its_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "box-peers.json").write_text("{}")
    with pytest.raises(SystemExit, match="box-peers.json: wanted <version>-<machine>"):
        REPORT["latest_reports"](tmp_path)


def test_the_same_results_give_the_same_figure(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    draw = runpy.run_path(str(ROOT / "bench" / "figure.py"))["draw"]
    report = measured(("m", "llamacy", "pp8", 2), ("m", "peer", "pp8", 3))
    for name in ("a.svg", "b.svg"):
        draw(report, "0123abcd", tmp_path / name)
    figure = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert (tmp_path / "b.svg").read_text(encoding="utf-8") == figure
    for said in ("0123abcd", "prompt of 8", "llamacy", "peer", "2.00", "3.00"):
        assert said in figure
