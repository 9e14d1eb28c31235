"""Whether a result is still wanted: the caller's own token, and withdrawal."""

from __future__ import annotations

from typing import Protocol

from llamacy.arguments import short
from llamacy.errors import ArgumentError


class CancelToken(Protocol):
    """Tells a generation to end; a `threading.Event` is one."""

    def is_set(self) -> bool:
        """Whether to end now."""


def check_cancel(cancel: object) -> None:
    """Check that the argument `cancel` is a `CancelToken` or None.

    Raises
    ------
    ArgumentError
        It does not have `is_set`.
    """
    if cancel is not None and not callable(getattr(cancel, "is_set", None)):
        raise ArgumentError(
            f"cancel: wanted something with is_set(), found {short(cancel)}"
        )


class Interest:
    """Whether the result of a request is wanted; any thread may withdraw it.

    Parameters
    ----------
    cancel : CancelToken, optional
        Ends the request once it is set.

    Attributes
    ----------
    is_withdrawn : bool
        Nobody wants the result any more.
    n_delivered : int or None
        Tokens of the text that the reader had seen when it was withdrawn; None if not
        even the prompt is to stay.

    Raises
    ------
    ArgumentError
        `cancel` does not have `is_set`.
    """

    def __init__(self, cancel: CancelToken | None) -> None:
        check_cancel(cancel)
        self._cancel = cancel
        self.is_withdrawn = False
        self.n_delivered: int | None = None

    def withdraw(self, n_delivered: int | None) -> None:
        """Want the result no more, after `n_delivered` tokens of the text."""
        # First: the worker reads it once it sees that the result is withdrawn.
        self.n_delivered = n_delivered
        self.is_withdrawn = True

    @property
    def is_lost(self) -> bool:
        """Whether it was withdrawn, or the token is set, which may raise."""
        return self.is_withdrawn or (self._cancel is not None and self._cancel.is_set())

    @property
    def left_nothing(self) -> bool:
        """Whether it was withdrawn, and nothing of it is to stay."""
        return self.is_withdrawn and self.n_delivered is None
