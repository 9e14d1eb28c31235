"""Fuzz everything that reads untrusted bytes; see `tools/fuzz/run`.

    python -m fuzz [TARGET...] [--minutes N] [--keep FOLDER]
    python -m fuzz TARGET --input FILE

Each target runs for a number of CPU minutes, and ends at its first failure: an
exception that is not a LlamacyError, an input of more than 5 seconds, growth by more
than 256 MiB, a memory fault, levels that decode a block differently. A table of
executions closes it.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .building import build
from .files import PLACE, memory
from .targets import NAMES

KERNELS = "kernels"  # the target in C
_LIMITS = ("-timeout=5", "-rss_limit_mb=512", "-max_len=4096", "-print_final_stats=1")
_FAILED = re.compile(r"Uncaught Python exception|ERROR: |decodes -?0x")
_EXECUTIONS = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_NUMBERED = re.compile(r"^#(\d+)\s", re.MULTILINE)


class Outcome(NamedTuple):
    """Executions and CPU seconds of one target, and whether an input failed."""

    executions: int
    seconds: float
    has_failed: bool


def command_of(target: str, minutes: float, folder: Path) -> list[str]:
    """Return the command that runs a target, without its inputs."""
    if target != KERNELS:
        module = f"{__package__}.engine"
        return [sys.executable, "-m", module, target, str(60 * minutes)]
    program = build(folder, os.environ.get("CLANG", "clang"))
    return [str(program), *_LIMITS]


def run(target: str, minutes: float, folder: Path) -> Outcome:
    """Run a target; print the end of its output if it fails."""
    command = command_of(target, minutes, folder)
    command += [f"-artifact_prefix={folder}/{target}-"]
    log = folder / f"{target}.log"
    before = os.times()
    with log.open("w") as out:
        limit = {**os.environ, "FUZZ_SECONDS": str(60 * minutes)}  # for C
        limit["ASAN_OPTIONS"] = "quarantine_size_mb=16"  # freed memory it keeps back
        with tempfile.TemporaryDirectory(prefix="fuzz-", dir=memory()) as place:
            limit[PLACE] = place
            done = subprocess.run(
                command, stdout=out, stderr=out, env=limit, check=False
            )
    after = os.times()
    said = log.read_text(errors="replace")
    has_failed = done.returncode != 0 or _FAILED.search(said) is not None
    if has_failed:
        print(said[-4000:], flush=True)
    counts = _EXECUTIONS.findall(said) or _NUMBERED.findall(said) or ["0"]
    seconds = after.children_user + after.children_system
    seconds -= before.children_user + before.children_system
    return Outcome(int(counts[-1]), seconds, has_failed)


def campaign(targets: list[str], minutes: float, folder: Path) -> bool:
    """Run targets, and print a table; return whether all inputs passed."""
    outcomes: dict[str, Outcome] = {}
    for target in targets:
        print(f"{target}: {minutes:g} minutes", flush=True)
        outcomes[target] = run(target, minutes, folder)
    print("\n".join(lines(outcomes)))
    return not any(outcome.has_failed for outcome in outcomes.values())


def lines(outcomes: dict[str, Outcome]) -> Iterator[str]:
    """Yield the lines of the table."""
    yield f"{'target':14} {'executions':>11} {'CPU seconds':>12}"
    for target, (executions, seconds, has_failed) in outcomes.items():
        end = "  FAILED" if has_failed else ""
        yield f"{target:14} {executions:11,} {seconds:12.0f}{end}"
    total = sum(outcome.executions for outcome in outcomes.values())
    yield f"{'all':14} {total:11,}"


def main() -> None:
    """Run as a command."""
    parser = argparse.ArgumentParser(prog="tools/fuzz/run")
    known = (*NAMES, KERNELS)
    parser.add_argument("targets", nargs="*", metavar="target", help=", ".join(known))
    parser.add_argument("--minutes", type=float, default=10, help="of CPU, a target")
    parser.add_argument("--keep", type=Path, help="folder for logs and failing inputs")
    parser.add_argument("--input", type=Path, help="try this input alone")
    asked = parser.parse_args()
    for target in asked.targets:
        if target not in known:
            parser.error(f"{target}: wanted one of {', '.join(known)}")
    if asked.input is not None and len(asked.targets) != 1:
        parser.error("--input: wanted one target")
    folder = asked.keep or Path(tempfile.mkdtemp(prefix="fuzz-"))
    folder.mkdir(parents=True, exist_ok=True)
    if asked.input is not None:
        command = command_of(asked.targets[0], 0, folder)
        sys.exit(subprocess.run([*command, str(asked.input)], check=False).returncode)
    passed = campaign(asked.targets or list(known), asked.minutes, folder)
    print(f"logs and failing inputs: {folder}")
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
