"""The progress bar for the prefill of a prompt."""

from __future__ import annotations

import io
import sys

import pytest

from llamacy.cli import progress_bar
from llamacy.cli.prompt_progress import PromptProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, patience: float) -> str:
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress_bar, "_PATIENCE", patience)
    with PromptProgress() as progress:
        for share in (0.0, 0.25, 0.5, 1.0):
            progress(share)
    return stream.getvalue()


def test_a_long_prompt_has_a_bar_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert "reading the prompt" in shown(monkeypatch, Terminal(), -1)


def test_a_short_prompt_has_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, Terminal(), 3600) == ""


def test_a_pipe_gets_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, io.StringIO(), -1) == ""


def test_the_bar_disappears_when_the_prefill_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(progress_bar, "_PATIENCE", -1)
    progress = PromptProgress()
    with pytest.raises(KeyboardInterrupt), progress:
        progress(0.5)
        raise KeyboardInterrupt
    assert progress._bar is None
