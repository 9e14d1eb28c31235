"""Tells of ignored arguments, each once in the life of a process."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterable

_logger = logging.getLogger("llamacy")
_told: set[str] = set()
_lock = threading.Lock()


class IgnoredArgumentWarning(UserWarning):
    """Arguments have no effect here; results are the same as without them."""


def tell(names: Iterable[str], why: str, *, verbose: bool, stacklevel: int) -> None:
    """Warn about arguments, without those that an earlier warning named.

    Parameters
    ----------
    names : iterable of str
        Ignored arguments.
    why : str
        Why they are ignored.
    verbose : bool
        False logs at the level of information, which is not shown by default.
    stacklevel : int
        Frames between this function and the line that the warning shows, as in
        `warnings.warn`.
    """
    if not verbose:
        if listed := ", ".join(sorted(names)):
            _logger.info("ignored, as %s: %s", why, listed)
        return
    with _lock:
        new = sorted(set(names) - _told)
        _told.update(new)
    if new:
        text = f"ignored, as {why}: {', '.join(new)}"
        warnings.warn(text, IgnoredArgumentWarning, stacklevel=stacklevel + 1)
