"""Who still wants a text: the caller's own token, and what was withdrawn."""

from __future__ import annotations

from typing import Protocol


class CancelToken(Protocol):
    """Tells a generation to end; a ``threading.Event`` is one."""

    def is_set(self) -> bool:
        """Whether to end now."""


class Interest:
    """Whether the result of a request is wanted; any thread may withdraw it.

    Parameters
    ----------
    cancel : ends the request once it is set.

    Attributes
    ----------
    is_withdrawn : nobody wants it any more.
    n_taken : tokens of the text that were seen by then; None is nothing at all.
    """

    def __init__(self, cancel: CancelToken | None) -> None:
        self._cancel = cancel
        self.is_withdrawn = False
        self.n_taken: int | None = None

    def withdraw(self, n_taken: int | None) -> None:
        """Want it no more, after `n_taken` tokens of the text."""
        self.n_taken = n_taken  # first: who sees the other reads this
        self.is_withdrawn = True

    @property
    def is_lost(self) -> bool:
        """Whether it was withdrawn, or the token is set, which may raise."""
        return self.is_withdrawn or (self._cancel is not None and self._cancel.is_set())

    @property
    def left_nothing(self) -> bool:
        """Whether it was withdrawn and nothing was seen."""
        return self.is_withdrawn and self.n_taken is None
