"""The rows of a job that have no result: not begun, under way, or to begin again."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from llamacy.jobs.rows import Row

_N_CHUNK: Final = 128  # rows that a worker is given at once
_N_LEAST: Final = 16  # when few are left: as many as a model decodes together
_N_TRUSTED: Final = 3  # losses, after which a row goes alone
_N_HOPELESS: Final = 6  # losses, after which it has an error


class RowsLeft:
    """The rows that are left, which are given away in chunks.

    Parameters
    ----------
    windows : iterable of sequences of Row
        Rows, some at a time, which are taken lazily.
    """

    def __init__(self, windows: Iterable[Sequence[Row]]) -> None:
        self._windows = iter(windows)
        self._ahead: deque[Sequence[Row]] = deque()  # of windows, which no worker had
        self._n_ahead = 0
        self._is_last = self._is_read = False
        self._again: deque[Row] = deque()
        self._waiting: dict[int, Row] = {}  # the oldest first
        self._copies: Counter[int] = Counter()  # calls that have a row
        self._losses: Counter[int] = Counter()

    @property
    def is_empty(self) -> bool:
        """Whether all windows were taken, and all of their rows have results.

        Rows without a worker do not show until `chunk` was asked for them.
        """
        return self._is_read and not self._waiting

    def chunk(self, n_workers: int = 1) -> list[Row]:
        """Return rows that no worker has; none if there are none left.

        Parameters
        ----------
        n_workers : int
            All workers, which should end together: where the end is in sight, the rows
            that are left are shared out some at a time.
        """
        rows: list[Row] = []
        while self._again and len(rows) < _N_CHUNK:
            row = self._again[0]
            is_alone = self._losses[row.index] >= _N_TRUSTED
            if is_alone and rows:
                break
            self._again.popleft()
            if row.index in self._waiting:
                rows.append(row)
                if is_alone:
                    break
        if not rows:
            rows = self._new(n_workers)
            self._is_read = not rows
        self._give(rows)
        return rows

    def late(self) -> list[Row]:
        """Return rows that one worker has, for a worker that has nothing to do."""
        late = (
            row
            for row in reversed(self._waiting.values())  # others end first
            if self._copies[row.index] == 1 and self._losses[row.index] < _N_TRUSTED
        )
        rows = list(islice(late, _N_LEAST))
        self._give(rows)
        return rows

    def done(self, index: int) -> Row | None:
        """Return the row of a result, unless it has one already."""
        self._losses.pop(index, None)
        return self._waiting.pop(index, None)

    def returned(self, indices: Sequence[int], *, is_lost: bool = False) -> None:
        """Take rows back from a call that has ended, or whose worker is lost."""
        for index in indices:
            self._copies[index] -= 1
            if self._copies[index] <= 0:
                del self._copies[index]
            if (row := self._waiting.get(index)) is None:
                continue
            if is_lost:
                self._losses[index] += 1
            if not self._copies[index]:
                self._again.append(row)

    def hopeless(self) -> list[Row]:
        """Return rows that have lost too many workers, which are done then."""
        if not self._losses:
            return []
        indices = [i for i, n in self._losses.items() if n >= _N_HOPELESS]
        return [row for index in indices if (row := self.done(index)) is not None]

    def _new(self, n_workers: int) -> list[Row]:
        """Return rows of a window that no worker had."""
        most = -(-n_workers // 4)  # windows, which may have few rows that are large
        while not self._is_last and self._n_ahead < n_workers * _N_CHUNK:
            if len(self._ahead) > most:
                break
            window = next(self._windows, None)
            if window is None:
                self._is_last = True
            else:
                self._ahead.append(window)
                self._n_ahead += len(window)
        if not self._ahead:
            return []
        n_rows = _N_CHUNK
        if self._is_last:
            shared_out = -(-self._n_ahead // (2 * n_workers))
            n_rows = min(_N_CHUNK, max(_N_LEAST, shared_out))
        window = self._ahead.popleft()
        rows, rest = list(window[:n_rows]), window[n_rows:]
        if rest:
            self._ahead.appendleft(rest)
        self._n_ahead -= len(rows)
        return rows

    def _give(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._waiting.setdefault(row.index, row)
            self._copies[row.index] += 1
