"""Turns that many take together, and turns that one takes alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """A lock for many readers or one writer; a writer that waits comes first."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._n_sharing = 0
        self._n_waiting = 0  # for a turn alone, or in one

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Take a turn with others."""
        with self._changed:
            self._changed.wait_for(lambda: self._n_waiting == 0)
            self._n_sharing += 1
        try:
            yield
        finally:
            with self._changed:
                self._n_sharing -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Take a turn when nobody else has one; not within a shared one."""
        with self._changed:
            self._n_waiting += 1
            self._changed.wait_for(lambda: self._n_sharing == 0)
            self._n_sharing = -1
        try:
            yield
        finally:
            with self._changed:
                self._n_sharing = 0
                self._n_waiting -= 1
                self._changed.notify_all()
