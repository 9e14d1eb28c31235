"""A model's own MTP head, which drafts the texts that the model grows.

The head has kept up with each text in the model's passes, so that nothing is left to be
read but the last token. It looks ahead of the text from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from llamacy.generation.drafting.proposal_drafter import ProposalDrafter
from llamacy.generation.drafting.proposer import Proposer
from llamacy.generation.drafting.row_costs import RowCosts
from llamacy.ops.state.sequence import SequenceState


class Ahead(Protocol):
    """Guessed tokens after one text, which the head reads."""

    def close(self) -> None:
        """Give the memory back; the text goes on."""


class MtpExecutor(Protocol):
    """The methods that drafting needs of an executor whose model has an MTP head."""

    @property
    def n_vocab(self) -> int:
        """Logits of a row."""

    def look_ahead(self, sequence: SequenceState) -> Any:
        """Return the guessed tokens after a sequence, none yet: an `Ahead`."""

    def draft(
        self, tokens: list[int], aheads: list[Any], logits: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Read a token more of each text with the head, and return its logits."""


class MtpDrafter(ProposalDrafter):
    """Proposes what the head says, unless the text is surer of itself.

    Parameters
    ----------
    ids : iterable of int
        The tokens so far, prompt included, at least one.
    head : MtpHead
        The head.

    Attributes
    ----------
    last : int
        The text's last token, which the model has not read.
    sequence : SequenceState or None
        Holds the tokens before it; None before the head was asked.
    ahead : Ahead or None
        The guessed tokens, while the head proposes.
    """

    usual: ClassVar[float] = 0.8  # it was trained with the model

    def __init__(self, ids: Iterable[int], head: MtpHead) -> None:
        ids = list(ids)
        super().__init__(ids)
        self.last = ids[-1]
        self._n_tokens = len(ids)
        self.sequence: SequenceState | None = None
        self.ahead: Ahead | None = None
        self._head = head

    def accept(self, token: int) -> None:
        """Add a token to the text."""
        super().accept(token)
        self.last = token
        self._n_tokens += 1

    def replace(self, ids: Iterable[int]) -> None:
        """Go on after other tokens, at least one."""
        ids = list(ids)
        super().replace(ids)
        self.last = ids[-1]
        self._n_tokens = len(ids)

    def _ask(self, most: int, sequence: SequenceState) -> None:
        if sequence.n_past != self._n_tokens - 1:
            return  # the head would have to guess what the model makes of the others
        self.sequence = sequence
        self._head.ask(self, most)


class MtpHead(Proposer[MtpDrafter]):
    """Proposes what a model's MTP head says: see `Proposer`.

    Parameters
    ----------
    executor : MtpExecutor
        Runs the model, and its head.
    """

    def __init__(self, executor: MtpExecutor) -> None:
        super().__init__("MTP head", executor.n_vocab)
        self._executor = executor
        self._opened = ExitStack()  # the lookaheads of one `write`

    def drafter(self, ids: Iterable[int]) -> MtpDrafter:
        """Return a drafter of a text: see `MakeDrafter`."""
        return MtpDrafter(ids, self)

    def _write(
        self, asked: Mapping[MtpDrafter, int], n_texts: int, costs: RowCosts
    ) -> None:
        with self._opened:
            super()._write(asked, n_texts, costs)

    def _begin(self, drafters: Iterable[MtpDrafter]) -> dict[MtpDrafter, list[int]]:
        rows = {}
        for one in drafters:
            assert one.sequence is not None
            one.ahead = self._executor.look_ahead(one.sequence)
            self._opened.callback(one.ahead.close)
            rows[one] = [one.last]
        return rows

    def _forward(
        self, rows: Mapping[MtpDrafter, list[int]], logits: NDArray[np.float32]
    ) -> None:
        tokens = [token for (token,) in rows.values()]
        self._executor.draft(tokens, [one.ahead for one in rows], logits)
