"""Loading a model for a command."""

from __future__ import annotations

import io
import sys

import pytest

from llamacy.cli import progress_bar
from llamacy.cli.options import load_model


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    "stream", [Terminal(), io.StringIO()], ids=["terminal", "pipe"]
)
def test_a_model_that_loads_has_a_progress_bar_at_a_terminal(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress_bar, "_PATIENCE", -1)
    with load_model("demo", n_ctx=64) as model:
        assert model.n_ctx == 64
    assert ("loading demo" in stream.getvalue()) == stream.isatty()
