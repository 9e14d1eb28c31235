"""How often something came true, by kinds of it: usual rates that follow a text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_WEIGHT: Final = 4  # cases that a usual rate counts as
_MEMORY: Final = 32  # about as many cases of a kind make up its rate


class Rates:
    """The share of cases that came true, of each kind.

    Parameters
    ----------
    usual : iterable of float
        The rate of each kind before any case is known.
    """

    def __init__(self, usual: Iterable[float]) -> None:
        self._rates = list(usual)
        self._n_counted = [_WEIGHT] * len(self._rates)

    def __getitem__(self, kind: int) -> float:
        """Return the rate of a kind, from 0 to 1."""
        return self._rates[kind]

    def note(self, kind: int, came_true: bool) -> None:
        """Note a case."""
        self._n_counted[kind] = n = min(self._n_counted[kind] + 1, _MEMORY)
        self._rates[kind] += (came_true - self._rates[kind]) / n
