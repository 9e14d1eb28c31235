"""Threads after a fork.

GNU's OpenMP keeps its threads for the next parallel region. A forked child does not
inherit them, and would wait for them for ever. A child whose parent has used threads
works on one.
"""

from __future__ import annotations

import logging
import os

_logger = logging.getLogger("llamacy")
_used = False  # this process, or one that it was forked from, has used threads
_lost = False  # it was forked from one that had
_told = False  # of which its user was warned


def usable_threads(n_threads: int) -> int:
    """Return the number of threads for the next parallel region: `n_threads`, or 1."""
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
