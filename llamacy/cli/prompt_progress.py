"""A progress bar for the prefill of a long prompt."""

from __future__ import annotations

from llamacy.cli.progress_bar import ProgressBar


class PromptProgress(ProgressBar):
    """A bar that appears if the prefill of a prompt takes a while."""

    def __init__(self) -> None:
        super().__init__("reading the prompt")
