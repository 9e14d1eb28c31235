"""How much has been transferred, for whoever waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self


class Meter:
    """Adds up what all files' progress bars are told, and passes the share on.

    Parameters
    ----------
    progress : called with the share transferred, 0.0 to 1.0; or None.

    Attributes
    ----------
    raised : what `progress` raised.
    """

    def __init__(self, progress: Callable[[float], None] | None) -> None:
        self._progress = progress
        self._total = 0
        self._done = 0
        self.raised: Exception | None = None

    def begin(self, n_bytes: int) -> None:
        """Say how much there is to transfer."""
        self._total = n_bytes

    def add(self, n_bytes: int) -> None:
        """Say that more has been transferred, or less: a file may begin anew."""
        self._done += n_bytes
        if self._done < self._total:
            self._tell(self._done / self._total)

    def end(self) -> None:
        """Say that all is there; nothing had to be transferred perhaps."""
        self._tell(1.0)

    def _tell(self, share: float) -> None:
        if self._progress is not None:
            try:
                self._progress(share)
            except Exception as error:
                self.raised = error
                raise

    def bar_class(self) -> type:
        """Make what ``huggingface_hub`` takes for a kind of tqdm's bars."""
        meter = self

        class Bar(_SilentBar):
            def update(self, n: float | None = 1) -> None:
                self.n += int(n or 0)
                meter.add(int(n or 0))

        return Bar


class _SilentBar:
    """As much of tqdm's bars as is used, and nothing to be seen."""

    def __init__(self, *_: Any, total: int | None = None, **__: Any) -> None:
        self.total = total
        self.n = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing was drawn."""

    def update_transfer(self, n: float | None = 1) -> None:
        """Bytes on the way, which are counted when they have been written."""

    def close(self) -> None:
        """Nothing was drawn."""

    def refresh(self, *_: object, **__: object) -> None:
        """Nothing is drawn."""

    set_postfix_str = set_transfer_postfix_str = set_description = refresh
