"""How far a long prompt has been read, for whoever waits at a terminal."""

from __future__ import annotations

from llamacy.cli.progress_bar import ProgressBar


class PromptProgress(ProgressBar):
    """A bar once reading a prompt takes a while."""

    def __init__(self) -> None:
        super().__init__("reading the prompt")
