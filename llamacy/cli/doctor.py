"""`llamacy doctor`: whether models can run here, and what slows them down."""

from __future__ import annotations

import sys

import typer

from llamacy.cli.options import JSON

_WIDTH = 12  # columns of a check's name


def doctor(json: JSON = False) -> None:
    """Check this machine: CPU, threads, memory, disk, load, and a model's answer.

    Takes about three seconds. Exits with 1 if no model can run.
    """
    from llamacy.cli.checks import Check, all_checks

    checks: list[Check] = []
    for check in all_checks():
        checks.append(check)
        if not json:
            print(f"{check.state:<8} {check.name:<{_WIDTH}} {check.text}")
            if check.advice:
                print(f"{'':<8} {'':<{_WIDTH}} {check.advice}")
            sys.stdout.flush()
    can_run = all(check.state != "error" for check in checks)
    if json:
        from dataclasses import asdict
        from json import dumps

        rows = [asdict(check) for check in checks]
        print(dumps({"can_run": can_run, "checks": rows}, ensure_ascii=False))
    if not can_run:
        raise typer.Exit(1)
