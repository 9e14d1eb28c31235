"""How often a text goes on as it did at the place that a lookup has found.

The longer the text and the source are alike, the more often. Each rate begins with a
usual one (of the texts in `bench/texts`) and follows the text at hand, whose tokens are
counted whether they were drafted or not: rates cost no rows, and a text that begins to
quote is noticed at once.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate, repeat
from operator import mul
from typing import Final

from llamacy.generation.drafting.rates import Rates

_STEPS: Final = (1, 2, 3, 4, 5, 6, 7, 8, 12, 20)  # least tokens alike of each kind
_USUAL: Final = (0.25, 0.4, 0.5, 0.6, 0.68, 0.74, 0.78, 0.85, 0.9, 0.95)
_USUAL_RESUMED: Final = (0.6, 0.7, 0.8, 0.83, 0.85)  # of 1 to 4 tokens, and of 5 to 7


class HitRates:
    """The share of tokens that came as expected, by the kind of the expectation."""

    def __init__(self) -> None:
        self._rates = Rates((*_USUAL, *_USUAL_RESUMED))

    def note(self, n_alike: int, is_resumed: bool, is_hit: bool) -> None:
        """Note whether a token came as expected.

        Parameters
        ----------
        n_alike : int
            Tokens before it that were alike, at least 1.
        is_resumed : bool
            Whether the source was found near one that the text had left.
        is_hit : bool
            Whether the text went on alike.
        """
        self._rates.note(_kind(n_alike, is_resumed), is_hit)

    def chances(self, n_alike: int, is_resumed: bool, most: int) -> list[float]:
        """Return how likely the text goes on alike for 1, 2 ... `most` tokens."""
        kinds = map(_kind, range(n_alike, n_alike + most), repeat(is_resumed))
        return list(accumulate(map(self._rates.__getitem__, kinds), mul))


def _kind(n_alike: int, is_resumed: bool) -> int:
    if is_resumed and n_alike < 8:
        return len(_STEPS) + min(n_alike, len(_USUAL_RESUMED)) - 1
    return bisect_right(_STEPS, n_alike) - 1
