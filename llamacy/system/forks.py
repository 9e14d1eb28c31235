"""Locks that are held during a fork.

A forked child has only the thread that forked. A lock held by another thread would stay
locked forever in the child, and the state that it guards half changed. So a fork first
acquires all these locks, in the order in which threads nest them, and releases them in
both processes afterwards.
"""

from __future__ import annotations

import os
import threading
import weakref
from enum import IntEnum
from typing import Any


class Rank(IntEnum):
    """The order in which a thread must acquire locks if it needs several."""

    SESSION = 1
    MODEL = 2
    TURN = 3
    STEP = 4
    PLAN = 5
    PAGES = 6
    IMPORTS = 7


_RLock: Any = type(threading.RLock())


class _InterruptibleLock(_RLock):  # type: ignore[misc]
    """A reentrant lock that Ctrl-C does not leave held.

    From Python 3.14 on, a signal's handler may run after `with lock` has acquired the
    lock, and before the block begins whose end releases it. A function in Python can
    release it, and its return is no such moment; the end of the block stays C's.
    """

    __slots__ = ()

    def __enter__(self) -> bool:
        was_owned = self._is_owned()
        try:
            return bool(self.acquire())
        except BaseException:
            # of its owner a lock is always acquired, and interrupted only then
            if was_owned or self._is_owned():
                self.release()
            raise


def fork_lock(rank: Rank) -> threading.RLock:
    """Return a new lock that is held during forks."""
    lock: threading.RLock = _InterruptibleLock()
    with _guard:
        _ranks[lock] = rank
    return lock


_guard = threading.Lock()  # of _ranks
_ranks: weakref.WeakKeyDictionary[threading.RLock, Rank] = weakref.WeakKeyDictionary()
_held: list[threading.RLock] = []

importing = fork_lock(Rank.IMPORTS)
"""To hold while a call imports a module on first use.

Python's own locks of modules are not released in a forked child, which would wait
forever for a module that another thread was importing.
"""


def _before_fork() -> None:
    # Concurrent forks are serialised by the first lock. The guard is not held for long:
    # threads that hold a lock may make others.
    with _guard:
        locks = sorted(_ranks.items(), key=lambda item: (item[1], id(item[0])))
    for lock, _ in locks:
        lock.acquire()
    _held.extend(lock for lock, _ in locks)


def _after_fork() -> None:
    while _held:
        _held.pop().release()


def _after_fork_in_child() -> None:
    global _guard
    _guard = threading.Lock()  # another thread may have held it
    _after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork,
        after_in_child=_after_fork_in_child,
    )
