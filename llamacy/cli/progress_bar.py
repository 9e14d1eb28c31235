"""A progress bar at the terminal for work that takes a while."""

from __future__ import annotations

import sys
from time import monotonic
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress

_PATIENCE = 1.0  # seconds of work before the bar appears


class ProgressBar:
    """A bar on standard error, shown only at a terminal and once work takes a while.

    Call it with the share done. It disappears when that is 1.0, or at the end of the
    `with` block.

    Parameters
    ----------
    text : str
        Description of the work, shown before the bar.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._start = monotonic()
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()

    def __call__(self, share: float) -> None:
        """Show that `share`, 0.0 to 1.0, is done."""
        if share >= 1:
            self._end()
        elif self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=share)
        elif monotonic() - self._start > _PATIENCE and sys.stderr.isatty():
            self._begin(share)

    def describe(self, text: str) -> None:
        """Change the text before the bar."""
        self._text = text
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], description=text)

    def _begin(self, share: float) -> None:
        from rich.console import Console
        from rich.progress import Progress

        self._bar = Progress(console=Console(stderr=True), transient=True)
        task = self._bar.add_task(self._text, total=1.0)
        self._bar.update(task, completed=share)
        self._bar.start()

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
