"""Whether another drafted token is worth the time that it takes."""

from __future__ import annotations

import math
from collections.abc import Collection

from llamacy.generation.drafting.proposal_drafter import ProposalDrafter
from llamacy.generation.drafting.row_costs import RowCosts


class Worth:
    """Weighs a drafted token more against the time that it takes.

    Parameters
    ----------
    n_texts : int
        Texts that the next pass of the model grows.
    costs : RowCosts
        The costs of such passes.
    pass_cost : float
        The cost of a pass that proposes tokens, in the same unit.
    n_sharing : int, default 1
        Texts that share the next such pass.

    Attributes
    ----------
    n_sharing : int
        Texts that share the next pass that proposes tokens.
    """

    def __init__(
        self, n_texts: int, costs: RowCosts, pass_cost: float, n_sharing: int = 1
    ) -> None:
        self.n_sharing = n_sharing
        self._n_tokens = float(n_texts)  # that the pass probably leads to
        self._cost = costs.of(n_texts)
        self._per_row = costs.per_row
        self._pass_cost = pass_cost

    def of_another(self, drafter: ProposalDrafter, rate: float | None = None) -> float:
        """Return the gain of a token more in a text, as a multiple of its share.

        Above 1, more tokens a second are expected with it than without. `rate` is how
        often proposed tokens are right, by default as usual in the text.
        """
        gain = drafter.chance * (drafter.usual_rate if rate is None else rate)
        cost = self._per_row + self._pass_cost / self.n_sharing
        return gain / cost * self._cost / self._n_tokens if cost else math.inf

    def note_pass(self, drafters: Collection[ProposalDrafter], cost: float) -> None:
        """Note a pass that let the proposals of these texts grow by a token."""
        self._pass_cost = cost
        self.n_sharing = len(drafters)
        self._n_tokens += sum(drafter.chance for drafter in drafters)
        self._cost += self._pass_cost + self._per_row * len(drafters)
