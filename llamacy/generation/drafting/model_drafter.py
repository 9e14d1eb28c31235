"""The drafts of one text by a smaller model, which reads the text, too."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from llamacy.generation.drafting.proposal_drafter import ProposalDrafter
from llamacy.generation.prefix_cache import common_prefix

if TYPE_CHECKING:
    from llamacy.generation.drafting.draft_model import DraftModel
    from llamacy.ops.state.sequence import SequenceState


class ModelDrafter(ProposalDrafter):
    """Proposes what a smaller model says, unless the text is surer of itself.

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
        super().__init__(self.ids)
        self.sequence: SequenceState | None = None
        self._n_sure = 0  # tokens of the text that the sequence has read
        self._tail: list[int] = []  # tokens that it has read after these
        self._model = model

    def accept(self, token: int) -> None:
        """Add a token to the text."""
        super().accept(token)
        self.ids.append(token)

    def replace(self, ids: Iterable[int]) -> None:
        """Go on after other tokens, at least one."""
        ids = list(ids)
        self._hold_at_most(min(self._n_sure, common_prefix(self.ids, ids)))
        self.ids = ids
        super().replace(ids)

    def _ask(self, most: int, sequence: SequenceState) -> None:
        self._model.ask(self, most)

    # The model's side.

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

    def _hold_at_most(self, n_tokens: int) -> None:
        """Let the sequence hold no more than the first `n_tokens` of the text."""
        self._tail.clear()
        if self.sequence is not None:
            if n_tokens < self.sequence.n_past:
                self.sequence.truncate(n_tokens)
            self._n_sure = self.sequence.n_past
