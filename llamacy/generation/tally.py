"""How much of a call's work is done, for its `progress`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from llamacy.arguments import check_callback
from llamacy.generation.events import Done, Event
from llamacy.generation.mailbox import UNBOUNDED
from llamacy.generation.request import AnyRequest

OnProgress: TypeAlias = "Callable[[float], object]"
"""Called with the share of the work that is done, 0.0 to 1.0."""


class Tally:
    """Tells `progress` how much of a call's reading and generating is done.

    Each request counts alike: by its tokens so far, of the most that it may have, and
    in full when it has ended.

    Parameters
    ----------
    progress : callable or None
        Called with shares that only grow, the last of which is 1.0.
    n : int or None
        Number of requests; without it only the end is told.

    Raises
    ------
    ArgumentError
        `progress` cannot be called.
    """

    def __init__(self, progress: OnProgress | None, n: int | None) -> None:
        check_callback("progress", progress)
        self._progress = progress
        self._n = n
        self._n_ended = 0
        self._shares: dict[AnyRequest, float] = {}  # of requests that run
        self._told = 0.0

    @property
    def n_ahead(self) -> int:
        """Events that a mailbox must hold: all pieces count where progress is told."""
        return 0 if self._progress is None else UNBOUNDED

    def note(self, request: AnyRequest, event: Event) -> None:
        """Note an event of a request."""
        if self._progress is None:
            return
        if isinstance(event, Done):
            self._shares.pop(request, None)
            self.skip()
        else:
            self._shares[request] = request.share
            self._tell_share()

    def skip(self) -> None:
        """Note the end of one that needs no more work."""
        self._n_ended += 1
        self._tell_share()

    def finish(self) -> None:
        """Note that all work is done."""
        self._tell(1.0)

    def _tell_share(self) -> None:
        if self._n:
            n_done = self._n_ended + sum(self._shares.values())
            self._tell(min(1.0, n_done / self._n))

    def _tell(self, share: float) -> None:
        if self._progress is not None and share > self._told:
            self._told = share
            self._progress(share)
