"""The drafts of one text by a smaller model, where the text is less sure itself."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from llamacy.generation.drafting.drafter import TextDrafter
from llamacy.generation.drafting.rates import Rates
from llamacy.generation.prefix_cache import common_prefix

if TYPE_CHECKING:
    from llamacy.generation.drafting.draft_model import DraftModel
    from llamacy.ops.state.sequence import SequenceState

_GAPS: Final = (0.5, 1.0, 2.0, 4.0)  # between the best two logits, of each kind
_USUAL: Final = (0.4, 0.5, 0.65, 0.8, 0.95)
_USUAL_OF_ALL: Final = 0.65
_PATIENCE: Final = 64  # tokens after which a model that was often wrong is tried again


class ModelDrafter:
    """Proposes what a smaller model says, unless the text is surer of itself.

    The model is asked for all texts together, between `begin` and `chances`: see
    `DraftModel`. Where it has nothing to say, the text's own proposal stands.

    Parameters
    ----------
    ids : iterable of int
        The tokens so far, prompt included, at least one.
    model : DraftModel
        The smaller model.

    Attributes
    ----------
    ids : list of int
        The tokens so far.
    sequence : SequenceState or None
        Holds the tokens of the text that the model has read, and those that it has
        proposed last; None before it has read anything.
    tokens : list of int
        The tokens that the model proposes.
    """

    def __init__(self, ids: Iterable[int], model: DraftModel) -> None:
        self.ids = list(ids)
        self.sequence: SequenceState | None = None
        self.tokens: list[int] = []
        self._n_sure = 0  # tokens of the text that the sequence has read
        self._tail: list[int] = []  # tokens that it has read after these
        self._model = model
        self._text = TextDrafter(self.ids)
        self._n_agreed: int | None = 0  # None: the text has left the proposal
        self._chances: list[float] = []
        self._kinds: list[int] = []
        self._rates = Rates(_USUAL)
        self._rate = Rates((_USUAL_OF_ALL,))
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
        self.ids.append(token)
        self._text.accept(token)

    def replace(self, ids: Iterable[int]) -> None:
        """Go on after other tokens, at least one."""
        ids = list(ids)
        self._hold_at_most(min(self._n_sure, common_prefix(self.ids, ids)))
        self.ids = ids
        self._text.replace(ids)
        self._forget_proposal()

    def begin(self, most: int) -> None:
        """Let the model be asked for up to `most` tokens, if it may know better."""
        self._forget_proposal()
        self._text.begin(most)
        chances = self._text.chances()
        if not chances or chances[0] < self.usual_rate:
            self._model.ask(self, most)

    def chances(self) -> Sequence[float]:
        """Return how likely 1, 2 ... tokens are right: see `Drafter`."""
        return self._chances or self._text.chances()

    def propose(self, n: int) -> list[int]:
        """Return the first `n` tokens of the proposal."""
        return self.tokens[:n] if self.tokens else self._text.propose(n)

    # The model's side.

    @property
    def usual_rate(self) -> float:
        """How often the model's tokens were right in this text."""
        return self._rate[0]

    @property
    def chance(self) -> float:
        """How likely all tokens of its proposal are right."""
        return self._chances[-1] if self._chances else 1.0

    def tries_again(self) -> bool:
        """Whether the model, which did not pay in this text, is given another chance.

        It must wait for that twice as long each time.
        """
        self._n_refused += 1
        if self._n_refused < self._patience:
            return False
        self._n_refused, self._patience = 0, 2 * self._patience
        self._rate = Rates((_USUAL_OF_ALL,))
        return True

    def start(self, sequence: SequenceState) -> None:
        """Read the text with a sequence, which has read the first of it."""
        self.sequence = sequence
        self._n_sure = sequence.n_past

    def pending(self) -> list[int]:
        """Return the tokens of the text that are yet to be read, at least one.

        Proposed tokens that the text does not have are taken back.
        """
        n_right = common_prefix(self._tail, self.ids[self._n_sure :])
        self._hold_at_most(min(self._n_sure + n_right, len(self.ids) - 1))
        return self.ids[self._n_sure :]

    def read(self, tokens: list[int]) -> None:
        """Note that the sequence has read these, too."""
        self._tail += tokens

    def add(self, logits: NDArray[np.float32]) -> None:
        """Add the likeliest token to the proposal.

        Parameters
        ----------
        logits : float32, (n_vocab,)
            The model's; they are changed.
        """
        token = int(logits.argmax())
        best = float(logits[token])
        logits[token] = -np.inf
        kind = bisect_right(_GAPS, best - float(logits.max()))
        self._chances.append(self.chance * self._rates[kind])
        self._kinds.append(kind)
        self.tokens.append(token)

    def _hold_at_most(self, n_tokens: int) -> None:
        """Let the sequence hold no more than the first `n_tokens` of the text."""
        self._tail.clear()
        if self.sequence is not None:
            if n_tokens < self.sequence.n_past:
                self.sequence.truncate(n_tokens)
            self._n_sure = self.sequence.n_past

    def _forget_proposal(self) -> None:
        self.tokens, self._chances, self._kinds = [], [], []
        self._n_agreed = 0
