"""Locks that a fork waits for.

A forked child has one thread, the one that forked. A lock that another held would stay
locked in the child for ever, and what it guards half changed. So a fork first takes
these, in the order in which threads nest them, and lets go of them on both sides.
"""

from __future__ import annotations

import os
import threading
import weakref
from enum import IntEnum


class Rank(IntEnum):
    """Which lock a thread takes first where it takes several."""

    SESSION = 1
    MODEL = 2
    TURN = 3
    STEP = 4
    PLAN = 5
    PAGES = 6


def fork_lock(rank: Rank) -> threading.RLock:
    """Return a new lock that a fork waits for."""
    lock = threading.RLock()
    _ranks[lock] = rank
    return lock


_ranks: weakref.WeakKeyDictionary[threading.RLock, Rank] = weakref.WeakKeyDictionary()
_taken: list[threading.RLock] = []


def _before_fork() -> None:
    # A second fork waits here, at the first lock of the first one.
    locks = sorted(_ranks.items(), key=lambda item: (item[1], id(item[0])))
    for lock, _ in locks:
        lock.acquire()
    _taken.extend(lock for lock, _ in locks)


def _after_fork() -> None:
    while _taken:
        _taken.pop().release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )
