"""Measures the progress of a download."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self


class Meter:
    """Adds up the progress of all files, and reports the share to a callback.

    Parameters
    ----------
    progress : callable or None
        Called with the share transferred, 0.0 to 1.0.

    Attributes
    ----------
    raised : Exception or None
        The exception that `progress` raised.
    """

    def __init__(self, progress: Callable[[float], None] | None) -> None:
        self._progress = progress
        self._total = 0
        self._done = 0
        self.raised: Exception | None = None

    def begin(self, n_bytes: int) -> None:
        """Set the number of bytes to transfer."""
        self._total = n_bytes

    def add(self, n_bytes: int) -> None:
        """Count transferred bytes; negative if a file starts over."""
        self._done += n_bytes
        if self._done < self._total:
            self._report(self._done / self._total)

    def end(self) -> None:
        """Report that all files are there, even if nothing had to be transferred."""
        self._report(1.0)

    def _report(self, share: float) -> None:
        if self._progress is not None:
            try:
                self._progress(share)
            except Exception as error:
                self.raised = error
                raise

    def bar_class(self) -> type:
        """Return a class that `huggingface_hub` accepts as a kind of tqdm's bars."""
        meter = self

        class Bar(_SilentBar):
            def update(self, n: float | None = 1) -> None:
                self.n += int(n or 0)
                meter.add(int(n or 0))

        return Bar


class _SilentBar:
    """The part of tqdm's interface that `huggingface_hub` uses, without any output."""

    def __init__(self, *_: Any, total: int | None = None, **__: Any) -> None:
        self.total = total
        self.n = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing."""

    def update_transfer(self, n: float | None = 1) -> None:
        """Do nothing: bytes in transfer are counted once they are on disk."""

    def close(self) -> None:
        """Do nothing."""

    def refresh(self, *_: object, **__: object) -> None:
        """Do nothing."""

    set_postfix_str = set_transfer_postfix_str = set_description = refresh
