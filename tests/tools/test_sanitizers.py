"""The sanitizers' campaign: which reports and tests belong to which level."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from sanitizers.building import ROOT
from sanitizers.campaign import count_tests, findings, level_of, table
from sanitizers.kinds import KINDS

LEVELS = ["scalar", "avx512", "avx512_bf16"]

ADDRESS = """\
==7==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x1
    #0 0x2 in f_load /c/llamacy/kernels/levels/avx512.h:9
    #1 0x3  (/c/llamacy/kernels/levels/avx512_bf16.abi3.so+0x1) (BuildId: 1)
SUMMARY: AddressSanitizer: heap-buffer-overflow
"""
THREAD = """\
==================
WARNING: ThreadSanitizer: data race (pid=7)
SUMMARY: ThreadSanitizer: data race team.h:74 in take
==================
"""
RUN = """\
<testsuites><testsuite>
<testcase name="test_rows[avx512-f32]"/>
<testcase name="test_rows[avx512_bf16-f32]"><failure>assert</failure></testcase>
<testcase name="test_rows[scalar]"><error>died</error></testcase>
<testcase name="test_rows[amx-f32]"><skipped/></testcase>
<testcase name="test_names"/>
</testsuite></testsuites>
"""


def test_each_report_of_a_run_is_found(tmp_path: Path) -> None:
    (tmp_path / "avx512.71").write_text(THREAD * 2)
    (tmp_path / "avx512.72").write_text(THREAD)
    (tmp_path / "avx512.xml").write_text(RUN)
    (tmp_path / "avx512_bf16.73").write_text(THREAD)
    found = list(findings(tmp_path, "avx512", KINDS["thread"]))
    assert len(found) == 3
    assert all("team.h:74" in report for report in found)
    assert not list(findings(tmp_path, "avx512", KINDS["address"]))


def test_level_of_a_report_is_that_of_its_module() -> None:
    assert level_of(ADDRESS, LEVELS) == "avx512_bf16"
    assert level_of(THREAD, LEVELS) == ""


def test_tests_are_counted_by_their_level(tmp_path: Path) -> None:
    path = tmp_path / "run.xml"
    assert not count_tests(path, "any", LEVELS)
    path.write_text(RUN)
    assert count_tests(path, "any", LEVELS) == Counter(
        {
            ("avx512", "passed"): 1,
            ("avx512_bf16", "failed"): 1,
            ("scalar", "failed"): 1,
            ("any", "skipped"): 1,
            ("any", "passed"): 1,
        }
    )


def test_table_has_a_line_for_each_level() -> None:
    counts = Counter({("avx2", "passed"): 12, ("avx2", "findings"): 1})
    assert table(counts).splitlines() == [
        "level             passed    failed   skipped  findings",
        "avx2                  12         0         0         1",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_tests_that_are_run_exist(kind: str) -> None:
    for argument in (*KINDS[kind].every_level, *KINDS[kind].each_level):
        assert not argument.startswith("tests/") or (ROOT / argument).exists()


def test_workflow_runs_every_kind() -> None:
    workflow = (ROOT / ".github/workflows/sanitize.yml").read_text(encoding="utf-8")
    assert f"kind: [{', '.join(KINDS)}]" in workflow
