"""The drafts of one text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeAlias

from llamacy.generation.drafting.hit_rates import HitRates
from llamacy.generation.drafting.lookup import Lookup
from llamacy.ops.state.sequence import SequenceState


class Drafter(Protocol):
    """Says how a text probably goes on; it is told of every token, and goes along."""

    def accept(self, token: int) -> None:
        """Add a token to the text."""

    def replace(self, ids: Iterable[int]) -> None:
        """Go on after other tokens, at least one."""

    def begin(self, most: int, sequence: SequenceState) -> None:
        """Make a proposal, or let one be made.

        Parameters
        ----------
        most : int
            Most tokens of it, at least 1.
        sequence : SequenceState
            Holds all tokens of the text but the last one, and those before it that had
            to follow a chosen one.
        """

    def chances(self) -> Sequence[float]:
        """Return how likely the first token proposed is right, the first two ...

        Returns
        -------
        sequence of float
            From 0 to 1, none above the one before; empty without a proposal.
        """

    def propose(self, n: int) -> list[int]:
        """Return the first `n` tokens of the proposal, or fewer."""


MakeDrafter: TypeAlias = Callable[[Iterable[int]], Drafter]
"""Makes the drafter of a text, of the tokens that it has."""


class TextDrafter:
    """Proposes the tokens that followed where the text was the same before.

    Parameters
    ----------
    ids : iterable of int
        The tokens so far, prompt included, at least one.
    """

    def __init__(self, ids: Iterable[int]) -> None:
        self._lookup = Lookup(ids)
        self._rates = HitRates()
        self._most = 0

    def accept(self, token: int) -> None:
        """Add a token to the text."""
        lookup = self._lookup
        if lookup.n_alike:
            is_hit = token == lookup.expected
            self._rates.note(lookup.n_alike, lookup.is_resumed, is_hit)
        lookup.accept(token)

    def replace(self, ids: Iterable[int]) -> None:
        """Go on after other tokens, at least one; rates stay."""
        self._lookup = Lookup(ids)

    def begin(self, most: int, sequence: SequenceState) -> None:
        """Propose up to `most` tokens, at least 1."""
        self._most = most

    def chances(self) -> Sequence[float]:
        """Return how likely 1, 2 ... tokens are right: see `Drafter`."""
        lookup = self._lookup
        if not lookup.n_alike:
            return ()
        return self._rates.chances(lookup.n_alike, lookup.is_resumed, self._most)

    def propose(self, n: int) -> list[int]:
        """Return the first `n` tokens that followed there."""
        return self._lookup.propose(n)
