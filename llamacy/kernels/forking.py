"""Threads after a fork.

GNU's OpenMP keeps its threads for the next parallel region. They do not come along into
a forked child, which would wait for them for ever. A child whose parent has used
threads works on one.
"""

from __future__ import annotations

import logging
import os

_logger = logging.getLogger("llamacy")
_used = False  # threads, by this process or by one it was forked from before the fork
_lost = False
_told = False


def usable_threads(n_threads: int) -> int:
    """Return how many threads the next parallel region may have: `n_threads`, or 1."""
    global _used, _told
    if n_threads == 1:
        return 1
    if not _lost:
        _used = True
        return n_threads
    if not _told:
        _told = True
        _logger.warning(
            "this process was forked from one that had run models on threads, and uses "
            "one: to have all, spawn processes, or fork before a model is loaded"
        )
    return 1


def _after_fork() -> None:
    global _lost
    _lost = _used


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
