"""The interface of a goal."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llamacy.generation.context import Context
from llamacy.generation.prefix_cache import MIN_SHARED
from llamacy.generation.rows import Rows
from llamacy.generation.stages import Stage
from llamacy.results import Piece


class Goal(ABC):
    """The purpose for which one request reads its tokens.

    Parameters
    ----------
    context : Context
        The request's tokens, which the goal may add to.

    Attributes
    ----------
    n_chosen : int
        Tokens chosen so far, one that ended the text among them.
    is_decoding : bool
        Whether the tokens to be read next are those that were chosen last, one or many:
        their pass is no prefill.
    n_drafted : int
        Drafted tokens that passes have checked.
    n_accepted : int
        The number of these that were chosen.
    min_shared : int
        Fewest tokens worth sharing with another request.
    """

    min_shared = MIN_SHARED

    def __init__(self, context: Context) -> None:
        self.context = context
        self.n_chosen = 0
        self.is_decoding = False
        self.n_drafted = 0
        self.n_accepted = 0

    @property
    @abstractmethod
    def n_shareable(self) -> int:
        """How many of the first tokens need not be read if another sequence holds them.

        Tokens whose logits the goal wants must be read.
        """

    @property
    @abstractmethod
    def n_to_read(self) -> int:
        """Tokens of the context that the sequence is to hold next."""

    @property
    def n_to_choose(self) -> int:
        """Most tokens that it may choose; 0 for a goal that only reads."""
        return 0

    def begin_draft(self, most: int) -> None:
        """Draft up to `most` tokens to go on with; asked only while the text grows."""
        return

    def chances(self) -> Sequence[float]:
        """Return how likely the first drafted token is right, the first two ...

        Returns
        -------
        sequence of float
            From 0 to 1, none above the one before; empty without a draft.
        """
        return ()

    @abstractmethod
    def next_rows(self, n_rows: int, n_scored: int) -> Rows:
        """Return the rows of the next pass.

        Rows after the last token of a growing text are of the draft.

        Parameters
        ----------
        n_rows : int
            Most rows, at least 1.
        n_scored : int
            Most rows of which all logits are wanted, if it is so while it reads.

        Returns
        -------
        Rows
            Without tokens if nothing can be read this time.
        """

    @abstractmethod
    def take(self, logits: NDArray[np.float32]) -> Stage:
        """Go on with the logits of a pass, which the context's sequence was grown by.

        Before it returns, rows that are not to stay are given back by
        `Context.truncate`.

        Parameters
        ----------
        logits : float32, (n_wanted, n_vocab)
            The rows are the goal's to change.

        Returns
        -------
        Stage
            READING or GROWING if tokens remain to be read, or ENDED.
        """

    def release(self) -> None:
        """Let go of memory that results do not need; the request is over."""
        return

    def cancel(self) -> None:
        """Note that the request ends as it is."""
        return

    def piece(self) -> Piece | None:
        """Return the text that is new since the last call, if there is any."""
        return None
