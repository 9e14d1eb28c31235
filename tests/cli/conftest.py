"""Running a command line inside the test process."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llamacy.cli import app


@dataclasses.dataclass
class Done:
    status: int
    out: str
    err: str


Shell = Callable[..., Done]


@pytest.fixture
def shell() -> Shell:
    """Return a function that runs a command line with `input` piped in."""

    def run(*words: object, input: str | bytes = "") -> Done:
        arguments = [str(word) for word in words]
        result = CliRunner().invoke(app, arguments, input=input, prog_name="llamacy")
        return Done(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def brief_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure the machine's limits roughly: only the form of the output counts."""
    monkeypatch.setattr("llamacy.roofline._READ_SECONDS", 0.02)
    monkeypatch.setattr("llamacy.roofline._PEAK_SECONDS", 0.02)


@pytest.fixture
def path(shared: Path) -> Path:
    return shared / "models/stories260K-Q8_0.gguf"
