"""How long passes take by the number of their rows, measured while they run.

Times are compared within one stretch of a text only: later tokens attend to more, and
other texts may share the pass. So the cost of a number of rows is the ratio of such a
pass to passes with one row for each text, of the same texts, a little earlier. The
lower quartile of a few passes leaves out those that another program has held up.

The cost of a number that was not tried is estimated from those below and above, a
little too low, so that numbers that may be worth it are tried; twice the largest one
tried is the most to try next. Costs that have not been measured for long count as
unknown again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from typing import Final

_N_RECENT: Final = 7  # passes that a cost is told from
_FEW: Final = 8  # rows
_USUAL: Final = 0.1  # cost of a row more, where nothing was measured
_HOPE: Final = 0.9  # unknown costs are taken for lower than estimated
_LASTING: Final = 512  # passes, after which a cost soon counts as unknown again


class RowCosts:
    """Learns the costs of passes; one pass of one row costs 1."""

    def __init__(self) -> None:
        self._costs: dict[int, float] = {1: 1.0}  # known ones, by rows
        self._estimates: dict[int, float] = {}  # of others, from these
        self._ratios: dict[int, deque[float]] = {}
        self._noted_at: dict[int, int] = {}  # in passes
        self._n_noted = 0
        self._largest = 1
        self._texts: Hashable = None  # of the last pass
        self._units: deque[float] = deque(maxlen=_N_RECENT)
        self._recent: deque[float] = deque(maxlen=_N_RECENT)  # of any texts

    def note(self, texts: Hashable, n_texts: int, n_rows: int, seconds: float) -> None:
        """Note a pass.

        Parameters
        ----------
        texts : hashable
            Tells the texts that it grows from others.
        n_texts : int
            Their number, at least 1.
        n_rows : int
            Its rows, at least one for each text, all of them wanted.
        seconds : float
            The time that it took.
        """
        self._n_noted += 1
        if self._n_noted % _LASTING == 0:
            self._forget()
        if texts != self._texts:
            self._texts = texts
            self._units.clear()
        self._largest = max(self._largest, n_rows)
        if n_rows == n_texts:
            cost = self.of(n_texts)
            if n_texts not in self._costs:  # what others are compared with must stay
                self._costs[n_texts] = cost
                self._estimates.clear()
                self._noted_at[n_texts] = self._n_noted
            self._units.append(seconds / cost)
        elif self._units:
            self._learn(n_rows, seconds / lower_quartile(self._units))
        self._recent.append(seconds / self.of(n_rows))

    @property
    def seconds(self) -> float | None:
        """The time that a cost of 1 takes; None before any pass."""
        return lower_quartile(self._recent) if self._recent else None

    @property
    def per_row(self) -> float:
        """The cost of a row more, among a few."""
        return max(0.0, self.of(_FEW) - 1) / (_FEW - 1)

    @property
    def most_rows(self) -> int:
        """Most rows worth trying by now."""
        return 2 * self._largest

    def of(self, n_rows: int) -> float:
        """Return the cost of a pass of that many rows, as far as it is known."""
        if (known := self._costs.get(n_rows)) is not None:
            return known
        if (estimate := self._estimates.get(n_rows)) is None:
            estimate = self._estimates[n_rows] = self._estimate(n_rows)
        return estimate

    def _estimate(self, n_rows: int) -> float:
        below = max(n for n in self._costs if n < n_rows)
        above = min((n for n in self._costs if n > n_rows), default=0)
        cost = self._costs[below]
        if above:
            per_row = (self._costs[above] - cost) / (above - below)
        else:
            per_row = (cost - 1) / (below - 1) if below > 1 else _USUAL
        return (cost + per_row * (n_rows - below)) * _HOPE

    def _learn(self, n_rows: int, ratio: float) -> None:
        ratios = self._ratios.setdefault(n_rows, deque(maxlen=_N_RECENT))
        ratios.append(ratio)
        self._costs[n_rows] = lower_quartile(ratios)
        self._estimates.clear()
        self._noted_at[n_rows] = self._n_noted

    def _forget(self) -> None:
        """Forget the costs that were not measured for long."""
        since = self._n_noted - _LASTING
        for n_rows in [n for n, at in self._noted_at.items() if at < since]:
            for known in (self._costs, self._ratios, self._noted_at):
                known.pop(n_rows, None)
        self._estimates.clear()


def lower_quartile(values: Iterable[float]) -> float:
    """Return a value that a quarter of `values`, at least one, are below."""
    ordered = sorted(values)
    return ordered[len(ordered) // 4]
