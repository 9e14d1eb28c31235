"""How many drafted tokens each text has in a pass.

The pass should lead to as many tokens per second as possible. Each text leads to one
token, and each drafted token to one more if it is right, so the likeliest of all texts'
tokens come first; how many of them is decided by the cost of their rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

from llamacy.generation.drafting.row_costs import RowCosts

_LEAST_GAIN = 1.05  # what promises less may as well be a loss
_LEAST_CHANCE = 0.02  # of a token that is worth a thought


def allot(
    chances: Sequence[Sequence[float]],
    most: int,
    costs: RowCosts,
    *,
    n_rows: int | None = None,
) -> list[int]:
    """Return how many tokens of each draft to check.

    Parameters
    ----------
    chances : sequence of sequence of float
        Of each text that grows how likely its first drafted token is right, the first
        two, and so on: see `Drafter.chances`.
    most : int
        Most drafted tokens in all.
    costs : RowCosts
        The costs of passes by their rows.
    n_rows : int, optional
        Rows of the pass without drafts; by default one of each text.
    """
    n_tokens = [0] * len(chances)
    if not any(chances):
        return n_tokens
    likeliest = [(chance, text) for text, each in enumerate(chances) for chance in each]
    if len(chances) > 1:  # stable: the tokens of one draft stay in their order
        likeliest.sort(key=itemgetter(0), reverse=True)
    n_texts = len(chances)
    n_rows = n_texts if n_rows is None else n_rows
    most = min(most, max(0, costs.most_rows - n_rows))
    best, n_best = _LEAST_GAIN * n_texts / costs.of(n_rows), 0
    gain = float(n_texts)
    for n, (chance, _) in enumerate(likeliest[:most], 1):
        if chance < _LEAST_CHANCE:
            break
        gain += chance
        if (speed := gain / costs.of(n_rows + n)) > best:
            best, n_best = speed, n
    for _, text in likeliest[:n_best]:
        n_tokens[text] += 1
    return n_tokens
