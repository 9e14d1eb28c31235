"""The interface of what says which tokens may follow in a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Constraint(Protocol):
    """Which tokens may follow; it grows with the text."""

    def allow(self, logits: NDArray[np.float32]) -> int | None:
        """Set the logits of tokens that may not follow to `-inf`, in place.

        Parameters
        ----------
        logits : float32, (n_vocab,)
            The model's own.

        Returns
        -------
        int or None
            The token that must follow, if there is only one.
        """

    def takes(self, token: int) -> bool:
        """Grow by a token if it may follow; whether it may. Quicker than `allow`.

        A token that ends the text may follow where it is complete, and is no growth.
        """

    def accept(self, token: int) -> None:
        """Grow by a token that may follow."""

    def forced(self) -> list[int]:
        """Return the tokens that must follow, as the model's tokenizer writes them.

        Empty where there is a choice.
        """

    def n_allowed(self, tokens: Sequence[int]) -> int:
        """Count how many of `tokens` may follow, one after the other."""

    def foresee(self, tokens: Sequence[int]) -> tuple[int, list[int]]:
        """Tell how a text may go on, which stays as it is.

        Returns
        -------
        n : int
            How many of `tokens` may follow, one after the other.
        forced : list of int
            The tokens that must follow these, if any of them may.
        """

    def fork(self) -> Constraint:
        """Return another that has accepted the same tokens, and grows apart."""

    def truncate(self, n: int) -> None:
        """Forget all but the first `n` tokens that were accepted."""

    @property
    def is_complete(self) -> bool:
        """Whether the text may end here; tokens that end it are allowed just then."""

    @property
    def is_over(self) -> bool:
        """Whether it must end here, for nothing may follow."""

    def prepare(self) -> None:
        """Begin to compute which tokens may follow, on a spare thread."""
