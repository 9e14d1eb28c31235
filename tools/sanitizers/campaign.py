"""A sanitizer's campaign: build, prove that faults are found, test, and tell."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from sanitizers.building import PROBE, ROOT, build, libraries
from sanitizers.kinds import KINDS, Kind

LEVELS = "from llamacy import kernels; print(*(x.name for x in kernels.available()))"
OUTCOMES = ("passed", "failed", "skipped")


class Campaign:
    """Runs of Python on one build, whose sanitizer writes its reports to files."""

    def __init__(self, kind: Kind, folder: Path) -> None:
        self.kind, self.folder = kind, folder
        self.reports = folder / "reports"
        self._libraries = libraries(kind)

    def environment(self, run: str, level: str = "") -> dict[str, str]:
        """Return the environment of a run: at one level, or at the default one."""
        log = f"{self.kind.options}:log_path={self.reports / run}"
        level_of = {"LLAMACY_ISA": level} if level else {}
        return {
            **os.environ,
            **self.kind.environment,
            **level_of,
            self.kind.variable: log,
            **self._libraries,
            "PYTHONPATH": str(self.folder),
        }

    def python(
        self, run: str, *arguments: str, level: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run Python and return what it printed."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self.environment(run, level),
            capture_output=True,
            text=True,
        )

    def prove(self) -> None:
        """Exit unless the probe's fault is reported, and nothing without a fault."""
        for fault in ("nothing", self.kind.name):
            code = f"import {PROBE}; {PROBE}.{fault}()"
            done = self.python(f"probe-{fault}", "-c", code)
            found = list(findings(self.reports, f"probe-{fault}", self.kind))
            is_found = done.returncode != 0 and len(found) > 0
            is_silent = done.returncode == 0 and not found
            if not (is_silent if fault == "nothing" else is_found):
                sys.exit(
                    f"{self.kind.name} sanitizer: probe of {fault!r} ended with "
                    f"{done.returncode} and {len(found)} reports\n{done.stderr}"
                )
        print(f"{self.kind.name}: the probe's fault is found", flush=True)

    def levels(self) -> list[str]:
        """Return the names of the levels that this CPU has."""
        done = self.python("levels", "-c", LEVELS)
        if done.returncode:
            sys.exit(done.stderr)
        return done.stdout.split()

    def test(self, run: str, arguments: list[str], level: str = "") -> int:
        """Run pytest, and return its exit status."""
        command = [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:faulthandler"),
            *("-p", "no:cacheprovider", f"--junitxml={self.reports / run}.xml"),
            *arguments,
        ]
        print(f"{self.kind.name}: pytest {' '.join(arguments)}, {level}", flush=True)
        environment = self.environment(run, level)
        return subprocess.run(command, cwd=self.folder, env=environment).returncode


def findings(reports: Path, run: str, kind: Kind) -> Iterator[str]:
    """Yield each report of a run, whose processes have a file each."""
    for path in sorted(reports.glob(f"{run}.[0-9]*")):
        text = path.read_text(encoding="utf-8", errors="replace")
        starts = [found.start() for found in re.finditer(re.escape(kind.report), text)]
        for number, start in enumerate(starts):
            yield text[start : (*starts[1:], len(text))[number]]


def level_of(text: str, levels: list[str]) -> str:
    """Name the level of a report by its modules, or of a test by its parameters.

    >>> level_of("test_rows[avx512_bf16-f32]", ["avx512", "avx512_bf16"])
    'avx512_bf16'
    >>> level_of("in f_exp (/x/levels/avx2.abi3.so+0x12)", ["avx2"])
    'avx2'
    """
    before, after = r"(?:(?<=[\[\-])|(?<=levels/))", r"(?=[\]\-]|\.abi3\.so)"
    words = re.findall(rf"{before}\w+{after}", text)
    return next((word for word in words if word in levels), "")


def count_tests(
    path: Path, default: str, levels: list[str]
) -> Counter[tuple[str, str]]:
    """Count a run's tests by level and by outcome."""
    counts: Counter[tuple[str, str]] = Counter()
    if not path.exists():  # the process died
        return counts
    for test in ElementTree.parse(path).iter("testcase"):
        children = {child.tag for child in test}
        outcome = "failed" if children & {"failure", "error"} else "passed"
        if "skipped" in children:
            outcome = "skipped"
        level = level_of(test.get("name", ""), levels) or default
        counts[level, outcome] += 1
    return counts


def table(counts: Counter[tuple[str, str]]) -> str:
    """Draw a table of counts, a line for each level."""
    columns = (*OUTCOMES, "findings")
    lines = [f"{'level':14}" + "".join(f"{name:>10}" for name in columns)]
    for level in dict.fromkeys(level for level, _ in counts):
        cells = "".join(f"{counts[level, name]:10}" for name in columns)
        lines.append(f"{level:14}{cells}")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Build and test; 0 if the tests passed and the sanitizer found nothing."""
    if not arguments or arguments[0] not in KINDS:
        print(f"usage: tools/sanitize {'|'.join(KINDS)} [pytest arguments]")
        return 2
    kind, chosen = KINDS[arguments[0]], arguments[1:]
    campaign = Campaign(kind, ROOT / ".sanitize" / kind.name)
    build(kind, campaign.folder)
    shutil.rmtree(campaign.reports, ignore_errors=True)
    campaign.reports.mkdir()
    campaign.prove()
    levels = campaign.levels()
    workers = ["-n", str(os.cpu_count())]
    runs = {"tests": (chosen, os.environ.get("LLAMACY_ISA", ""))}
    if not chosen:
        runs = {"every-level": ([*kind.every_level, *workers], "")}
        runs |= {name: ([*kind.each_level, *workers], name) for name in levels}
    counts: Counter[tuple[str, str]] = Counter()
    status = 0
    for run, (tests, level) in runs.items():
        status |= campaign.test(run, tests, level)
        default = level or "any"
        counts += count_tests(campaign.reports / f"{run}.xml", default, levels)
        for report in findings(campaign.reports, run, kind):
            status = 1
            counts[level_of(report, levels) or default, "findings"] += 1
            print(report, flush=True)
    print(table(counts))
    return int(status != 0)
