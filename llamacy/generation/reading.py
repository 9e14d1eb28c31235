"""The adapters that texts are read with, and the rows that two texts have alike."""

from __future__ import annotations

from typing import Final, NamedTuple

from llamacy.ops.state.sequence import NEVER


class Reading(NamedTuple):
    """The adapters that texts are read with.

    Attributes
    ----------
    adapters : str
        Fingerprint of those that act on all rows; empty for no adapters.
    activated : str
        Fingerprint of one that acts from its invocation on (aLoRA); may be empty.
    invocation : tuple of int
        The tokens that invoke it.
    """

    adapters: str = ""
    activated: str = ""
    invocation: tuple[int, ...] = ()

    def adapted_from(self, ids: list[int]) -> int:
        """Return the position in a prompt from which on the activated one acts.

        The first token of its last invocation, as in PEFT, which trains such adapters.
        The server of llama.cpp that llama-cpp-python 0.3.36 carries begins one token
        before that (`update_slots`).
        """
        n, wanted = len(self.invocation), list(self.invocation)
        for start in range(len(ids) - n, -1, -1) if n else ():
            if ids[start] == wanted[0] and ids[start : start + n] == wanted:
                return start
        return NEVER


NO_ADAPTERS: Final = Reading()
"""Texts are read with the model as it is."""


def n_alike(one: int, other: int) -> int:
    """Return how many rows two texts may have alike, by where each is adapted from."""
    return NEVER if one == other else min(one, other)
