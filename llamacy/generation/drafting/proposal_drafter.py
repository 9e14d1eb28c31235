"""The drafts of one text that are proposed for it, where it is less sure itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from llamacy.generation.drafting.drafter import TextDrafter
from llamacy.generation.drafting.rates import Rates
from llamacy.ops.state.sequence import SequenceState

_GAPS: Final = (0.5, 1.0, 2.0, 4.0)  # between the best two logits, of each kind
_USUAL: Final = (0.4, 0.5, 0.65, 0.8, 0.95)
_PATIENCE: Final = 64  # tokens after which proposals that were often wrong are tried


class ProposalDrafter(ABC):
    """Drafts what is proposed for it, unless the text is surer of itself.

    Proposals are made for all texts together, between `begin` and `chances`: see
    `Proposer`. Where there is none, the text's own stands.

    Parameters
    ----------
    ids : iterable of int
        The tokens so far, prompt included, at least one.

    Attributes
    ----------
    tokens : list of int
        The tokens proposed.
    usual : float
        How often they are right before anything is known of the text.
    """

    usual: ClassVar[float] = 0.65

    def __init__(self, ids: Iterable[int]) -> None:
        self.tokens: list[int] = []
        self._text = TextDrafter(ids)
        self._n_agreed: int | None = 0  # None: the text has left the proposal
        self._chances: list[float] = []
        self._kinds: list[int] = []
        self._rates = Rates(_USUAL)
        self._rate = Rates((self.usual,))
        self._n_refused = 0
        self._patience = _PATIENCE

    def accept(self, token: int) -> None:
        """Add a token to the text."""
        n = self._n_agreed
        if n is not None and n < len(self.tokens):
            is_hit = token == self.tokens[n]
            self._rates.note(self._kinds[n], is_hit)
            self._rate.note(0, is_hit)
            self._n_agreed = n + 1 if is_hit else None
        self._text.accept(token)

    def replace(self, ids: Iterable[int]) -> None:
        """Go on after other tokens, at least one."""
        self._text.replace(ids)
        self._forget_proposal()

    def begin(self, most: int, sequence: SequenceState) -> None:
        """Ask for up to `most` tokens, if there may be better ones than the text's."""
        self._forget_proposal()
        self._text.begin(most, sequence)
        chances = self._text.chances()
        if not chances or chances[0] < self.usual_rate:
            self._ask(most, sequence)

    def chances(self) -> Sequence[float]:
        """Return how likely 1, 2 ... tokens are right: see `Drafter`."""
        return self._chances or self._text.chances()

    def propose(self, n: int) -> list[int]:
        """Return the first `n` tokens of the proposal."""
        return self.tokens[:n] if self.tokens else self._text.propose(n)

    @abstractmethod
    def _ask(self, most: int, sequence: SequenceState) -> None:
        """Ask for up to `most` tokens after a text that the sequence has read."""

    # The proposer's side.

    @property
    def usual_rate(self) -> float:
        """How often proposed tokens were right in this text."""
        return self._rate[0]

    @property
    def chance(self) -> float:
        """How likely all tokens of the proposal are right."""
        return self._chances[-1] if self._chances else 1.0

    def tries_again(self) -> bool:
        """Whether proposals, which did not pay in this text, get another chance.

        They must wait for that twice as long each time.
        """
        self._n_refused += 1
        if self._n_refused < self._patience:
            return False
        self._n_refused, self._patience = 0, 2 * self._patience
        self._rate = Rates((self.usual,))
        return True

    def add(self, logits: NDArray[np.float32]) -> None:
        """Add the likeliest token to the proposal.

        Parameters
        ----------
        logits : float32, (n_vocab,)
            They are changed.
        """
        token = int(logits.argmax())
        best = float(logits[token])
        logits[token] = -np.inf
        kind = bisect_right(_GAPS, best - float(logits.max()))
        self._chances.append(self.chance * self._rates[kind])
        self._kinds.append(kind)
        self.tokens.append(token)

    def _forget_proposal(self) -> None:
        self.tokens, self._chances, self._kinds = [], [], []
        self._n_agreed = 0
