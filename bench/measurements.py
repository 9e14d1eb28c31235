"""Result files of `peers.py`, and names for their rows."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

TESTS = {"pp": "prompt of", "tg": "generating", "sv": "serving"}

Report = dict[str, Any]


def latest_reports(folder: Path) -> dict[str, Report]:
    """Read the latest version of each machine's results, by the file's stem."""
    latest: dict[str, tuple[list[int], Path]] = {}
    for path in sorted(folder.glob("*-peers.json")):
        found = re.fullmatch(r"(\d+(?:\.\d+)*)-(.+)-peers", path.stem)
        if found is None:
            sys.exit(f"{path}: wanted <version>-<machine>-peers.json as its name")
        version = [int(part) for part in found[1].split(".")]
        _, machine = found.groups()
        if machine not in latest or version > latest[machine][0]:
            latest[machine] = version, path
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for _, path in latest.values()
    }


def engines(report: Report) -> list[str]:
    """List the engines, in the order in which they were measured."""
    return list(dict.fromkeys(row["engine"] for row in report["results"]))


def test_name(row: dict[str, Any]) -> str:
    """Name the measurement: `prompt of 512`, `generating 64 of 8 texts after 4096`."""
    test, n_texts = row["test"], row.get("texts", 1)
    together = f" of {n_texts} texts" if n_texts > 1 else ""
    after = f" after {row['depth']}" if row["depth"] else ""
    return f"{TESTS[test[:2]]} {test[2:]}{together}{after}"


def rate(value: float) -> str:
    """Format tokens per second with three digits, or as an integer from 100 on."""
    n_decimals = 0 if value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:,.{n_decimals}f}"


def digest(report: Report) -> str:
    """Return a hash of the results, which a figure made from them contains."""
    return hashlib.sha256(json.dumps(report, sort_keys=True).encode()).hexdigest()
