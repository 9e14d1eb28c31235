"""A plan's methods for models with an MTP head, which drafts their texts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import ArgumentError
from llamacy.kernels.forking import usable_threads
from llamacy.ops.plan.explaining import PassReport
from llamacy.ops.plan.explaining_drafts import TimedDrafts, explain_draft
from llamacy.ops.plan.mtp_passes import MtpPasses
from llamacy.ops.state.lookahead import Lookahead
from llamacy.ops.state.paged_sequence import PagedSequence
from llamacy.ops.state.sequence import SequenceState


class DraftingPlan:
    """A base of `Plan`."""

    _lock: AbstractContextManager[Any]
    _mtp: MtpPasses | None
    _n_threads: int

    def look_ahead(self, sequence: SequenceState) -> Lookahead:
        """Return a lookahead, of no guessed tokens yet, after a sequence.

        It is to be closed before the sequence goes on.

        Raises
        ------
        ArgumentError
            The plan has no passes of a head.
        OutOfMemoryError
            There is no memory for it.
        ClosedError
            The model or the sequence is closed.
        """
        assert isinstance(sequence, PagedSequence)
        with self._lock:
            return self._open_mtp().look_ahead(sequence)

    def draft(
        self,
        tokens: Sequence[int],
        aheads: Sequence[Lookahead],
        logits: NDArray[np.float32] | None = None,
        *,
        seconds: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float32]:
        """Read a token more with the MTP head alone, of one or several texts.

        Parameters
        ----------
        tokens : sequence of int
            A token of each text, 1 to 16 of them: its last one, which the model has not
            read, and then guessed ones.
        aheads : sequence of Lookahead
            Of these texts.
        logits : float32, (n_texts, n_vocab), or None
            Where the logits go; None makes a new array.
        seconds : float64, (n_steps,), or None
            Receives how long each step took; they then run one after another.

        Returns
        -------
        float32, (n_texts, n_vocab)
            The head's logits of the tokens that follow.

        Raises
        ------
        ArgumentError
            The plan has no passes of a head.
        OutOfMemoryError
            There is no memory for the pages of the new tokens.
        ClosedError
            The model is closed.
        """
        with self._lock:
            return self._open_mtp().run(tokens, aheads, logits, seconds)

    def explain_draft(self, n_past: int, *, repetitions: int = 5) -> PassReport:
        """Run passes of the MTP head, and tell what each of their steps takes.

        Parameters
        ----------
        n_past : int
            Tokens of the text that is drafted, at least 1.
        repetitions : int
            Passes that are timed, 1 or more; times are medians.

        Raises
        ------
        ArgumentError
            The plan has no passes of a head, or one of the numbers is not possible.
        OutOfMemoryError
            There is no memory for the pages of the text.
        ClosedError
            The model is closed.
        """
        with self._lock:
            compiled = self._open_mtp().compiled
        return explain_draft(
            cast(TimedDrafts, self),  # as a part of a plan
            compiled,
            n_past,
            repetitions=repetitions,
            n_threads=usable_threads(self._n_threads),
        )

    def _open_mtp(self) -> MtpPasses:
        self._check_open()
        if self._mtp is None:
            raise ArgumentError("draft: wanted a plan with the passes of an MTP head")
        return self._mtp

    @abstractmethod
    def _check_open(self) -> None:
        """Raise ClosedError if the model is closed."""
