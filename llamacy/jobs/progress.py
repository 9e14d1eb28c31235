"""How far a job has come, and how fast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import TypeAlias

from llamacy.jobs.tasks import Tally

OnProgress: TypeAlias = "Callable[[JobProgress], object]"
"""Called now and then while a job runs, and at its end."""


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job has come.

    Attributes
    ----------
    n_done : int
        Rows that are done, those with errors included.
    n_before : int
        The number of them that an earlier run has done.
    n_failed : int
        Rows that have errors; until the output is written, of this run alone.
    prompt_tokens, completion_tokens : int
        Tokens that this run has read and written.
    seconds : float
        Seconds that this run has taken.
    share : float
        Share of the input that is done, 0.0 to 1.0.
    share_before : float
        The share that an earlier run has done.
    is_complete : bool
        Whether the output is written.
    """

    n_done: int
    n_before: int
    n_failed: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    share: float
    share_before: float
    is_complete: bool = False

    @property
    def rows_per_second(self) -> float:
        """Rows that this run has done in a second; 0.0 at its beginning."""
        return self._rate(self.n_done - self.n_before)

    @property
    def tokens_per_second(self) -> float:
        """Tokens that this run has read and written in a second."""
        return self._rate(self.prompt_tokens + self.completion_tokens)

    @property
    def seconds_left(self) -> float | None:
        """Seconds that the rest will take at this speed; None if it cannot be told."""
        done = self.share - self.share_before
        if done <= 0 or not self.seconds:
            return None
        return self.seconds * (1 - self.share) / done

    def _rate(self, n: int) -> float:
        return n / self.seconds if self.seconds else 0.0


class Meter:
    """Counts the rows of a run.

    Parameters
    ----------
    size : int
        Size of the input, in the unit of `Row.n_bytes`.
    limit : int, optional
        Most rows.

    Attributes
    ----------
    n_failed : int
        Rows that have errors.
    """

    def __init__(self, size: int, limit: int | None = None) -> None:
        self._size = max(1, size)
        self._limit = limit
        self._start = monotonic()
        self._n_done = self._n_before = self.n_failed = 0
        self._n_read = self._n_written = 0
        self._size_done = self._size_before = 0

    def skip(self, n_bytes: int) -> None:
        """Count a row that an earlier run has done."""
        self._n_done += 1
        self._n_before += 1
        self._size_done += n_bytes
        self._size_before += n_bytes

    def add(self, n_bytes: int, tally: Tally) -> None:
        """Count a row's result."""
        self._n_done += 1
        self._size_done += n_bytes
        self._n_read += tally.prompt_tokens
        self._n_written += tally.completion_tokens
        self.n_failed += tally.has_failed

    def start(self) -> None:
        """Begin to measure the time."""
        self._start = monotonic()

    def progress(self, *, is_complete: bool = False) -> JobProgress:
        """Return how far the run has come."""
        share = self._share(self._n_done, self._size_done)
        return JobProgress(
            n_done=self._n_done,
            n_before=self._n_before,
            n_failed=self.n_failed,
            prompt_tokens=self._n_read,
            completion_tokens=self._n_written,
            seconds=monotonic() - self._start,
            share=1.0 if is_complete else share,
            share_before=self._share(self._n_before, self._size_before),
            is_complete=is_complete,
        )

    def _share(self, n_rows: int, size: int) -> float:
        of_limit = n_rows / self._limit if self._limit else 0.0
        return min(1.0, max(of_limit, size / self._size))
