"""Rows that one request puts into a forward pass."""

from __future__ import annotations

from typing import NamedTuple

from llamacy.ops.batch import Wanted
from llamacy.ops.state.sequence import SequenceState


class Rows(NamedTuple):
    """Rows of one sequence in a pass.

    Attributes
    ----------
    tokens : list of int
        Token ids that continue `sequence`.
    sequence : SequenceState
        It holds all of `tokens` after the pass; a goal that wants fewer truncates it.
    wanted : {"none", "last", "all"} or int
        The rows whose logits are computed; a number means that many of the last.
    """

    tokens: list[int]
    sequence: SequenceState
    wanted: Wanted

    @property
    def n_wanted(self) -> int:
        """Rows whose logits are computed."""
        if self.wanted == "all":
            return len(self.tokens)
        if self.wanted == "none":
            return 0
        return min(1 if self.wanted == "last" else self.wanted, len(self.tokens))
